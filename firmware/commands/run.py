"""Run the toy.

On a desk, with ``--board sim``, its button and voice are words typed into this terminal:
press, release, tap, double, triple, hold SECONDS, say FILE.wav, wake, quit. Each step is printed as
it happens. Without a terminal it runs until it is told to stop (SIGTERM or SIGINT). Exit codes: 0
stopped, 78 the configuration cannot be used, 73 the journal cannot be written.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from firmware.app import Toy
from firmware.cloud.errors import AddressError as CloudAddressError
from firmware.commands import exits
from firmware.errors import BoardError, JournalFileError, SettingsError
from firmware.secret import read_secret
from firmware.settings import Settings, describe, load
from firmware.stream.errors import FaultError as StreamFaultError
from hardware.errors import FaultError
from states.machine import Step

TAP_MS: Final = 120
GAP_MS: Final = 250
"""Between the presses of a double or triple: within the window of 500 ms."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--config", type=Path, metavar="FILE", help="the configuration, a TOML file")
    parser.add_argument("--board", help="the board's profile, in place of the configuration's")
    parser.add_argument("--data-dir", metavar="DIR", help="where the toy keeps its data, likewise")
    parser.add_argument("--json", action="store_true", help="print a JSON line a step")
    parser.add_argument("--describe", action="store_true", help="print every key of the configuration and end")


def run(arguments: argparse.Namespace) -> int:
    """Run until stopped."""
    if arguments.describe:
        print(describe())
        return exits.OK
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s", level=logging.WARNING)
    try:
        settings = _settings(arguments)
        secret = _secret(settings)
        return asyncio.run(_run(settings, secret, as_json=arguments.json))
    except (SettingsError, BoardError, CloudAddressError, StreamFaultError) as error:
        return exits.fail(exits.CONFIGURATION, str(error))
    except (JournalFileError, OSError) as error:
        return exits.fail(exits.CANNOT_CREATE, str(error))


def _settings(arguments: argparse.Namespace) -> Settings:
    settings = load(arguments.config)
    given = {"board": arguments.board, "data_dir": arguments.data_dir}
    device = replace(settings.device, **{key: value for key, value in given.items() if value})
    return replace(settings, device=device)


def _secret(settings: Settings) -> Callable[[], str] | None:
    """Return what gives the secret, or None for a toy that waits to be set up."""
    identity = settings.identity
    given = {key: value for key, value in vars(identity).items() if value}
    if not given:
        return None
    for key in vars(identity).keys() - given.keys():
        raise SettingsError(f"identity.{key} is empty while the others are given: give all three or none")
    path = Path(identity.secret_file)
    read_secret(path)
    return partial(read_secret, path)


async def _run(settings: Settings, secret: Callable[[], str] | None, *, as_json: bool) -> int:
    toy = Toy(settings, secret)
    toy.loop.observers.append(_print_json if as_json else _print)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, partial(toy.loop.post, "shutdown"))
    if sys.stdin is not None and sys.stdin.isatty():
        loop.add_reader(sys.stdin.fileno(), lambda: _typed(toy, sys.stdin.readline()))
    toy.start()
    try:
        await toy.stopped.wait()
    finally:
        await toy.close()
    return exits.OK


def _print(step: Step) -> None:
    moved = f"{step.source} → {step.to}" if step.source != step.to else step.to
    print(f"{step.event.at_ms / 1000:10.3f}  {step.event.name:16} {moved:44} {step.row}", flush=True)


def _print_json(step: Step) -> None:
    fields = dict(step.event.fields)
    print(json.dumps({"ms": step.event.at_ms, "event": step.event.name, "fields": fields, "from": step.source, "row": step.row, "to": step.to}), flush=True)


def _typed(toy: Toy, line: str) -> None:
    """Do what a person typed; an empty read is the end of input."""
    words = line.split()
    if not line or words[:1] == ["quit"]:
        toy.loop.post("shutdown")
        return
    hands: dict[str, Callable[[], None]] = {
        "press": toy.board.press,
        "release": toy.board.release,
        "tap": partial(taps, toy, 1),
        "double": partial(taps, toy, 2),
        "triple": partial(taps, toy, 3),
        "wake": partial(toy.loop.post, "wake_heard"),
    }
    try:
        match words:
            case []:
                return
            case ["hold", seconds]:
                toy.board.tap(round(float(seconds) * 1000))
            case ["say", name]:
                toy.microphone.speak_clip(name)
            case [word] if word in hands:
                hands[word]()
            case _:
                print(f"not understood: {line.strip()}; known are {', '.join(hands)}, hold SECONDS, say FILE, quit")
    except (FaultError, ValueError) as error:
        print(error)


def taps(toy: Toy, times: int) -> None:
    """Tap the button ``times``, as one chain."""
    loop = asyncio.get_running_loop()
    for number in range(times):
        loop.call_later(number * GAP_MS / 1000, toy.board.tap, TAP_MS)
