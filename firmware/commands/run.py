"""Run the toy.

On a desk, with ``--board sim``, its button and voice are words typed into this terminal: press,
release, tap, double, triple, hold SECONDS, say FILE.wav, quit. Where the configuration names a real
microphone (section ``sound``), it is spoken to instead. Each step is printed as it happens. Without
a terminal it runs until it is told to stop (SIGTERM or SIGINT). Exit codes: 0 stopped, 69 Opus is
not installed, 73 its data cannot be written, 78 the configuration cannot be used.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Final

from firmware.app import VAULT, Toy
from firmware.cloud.errors import AddressError as CloudAddressError
from firmware.commands import exits
from firmware.errors import BoardError, SettingsError, StoreError
from firmware.settings import Settings, describe, load
from firmware.stream.errors import FaultError as StreamFaultError
from hardware.errors import FaultError, HardwareError, VaultError
from hardware.file_vault import FileVault
from hardware.vault import Vault
from states.machine import Step

TAP_MS: Final = 120
GAP_MS: Final = 250
"""Between the presses of a double or triple: within the window of 500 ms."""
HOLD_S_MAX: Final = 60
LINE_BYTES_MAX: Final = 4_096
"""Longest line that a terminal hands over."""
END_TIMEOUT_S: Final = 1.8
"""How long ending may take from being told to; what is to be kept is on disk by then."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="the configuration, a TOML file"
    )
    parser.add_argument("--board", help="the board's profile, in place of the configuration's")
    parser.add_argument("--data-dir", metavar="DIR", help="where the toy keeps its data, likewise")
    parser.add_argument("--json", action="store_true", help="print a JSON line a step")
    parser.add_argument(
        "--describe", action="store_true", help="print every key of the configuration and end"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run until stopped."""
    if arguments.describe:
        print(describe())
        return exits.OK
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s", level=logging.WARNING)
    # A thread that asks a dead name server, say, cannot be ended, and would be waited for.
    deadline = threading.Timer(END_TIMEOUT_S, os._exit, (exits.OK,))
    deadline.daemon = True
    show = _as_json if arguments.json else _as_text
    try:
        settings = _settings(arguments)
        return asyncio.run(_run(settings, _vault(settings), show, deadline.start))
    except CloudAddressError as error:
        return exits.fail(exits.CONFIGURATION, f"cloud.{error}")
    except (SettingsError, BoardError, StreamFaultError) as error:
        return exits.fail(exits.CONFIGURATION, str(error))
    except StoreError as error:
        return exits.fail(exits.CANNOT_CREATE, str(error))
    except FaultError as error:
        return exits.fail(exits.UNAVAILABLE, str(error))
    finally:
        deadline.cancel()


def _settings(arguments: argparse.Namespace) -> Settings:
    settings = load(arguments.config)
    given = {"board": arguments.board, "data_dir": arguments.data_dir}
    device = replace(settings.device, **{key: value for key, value in given.items() if value})
    return replace(settings, device=device)


def _vault(settings: Settings) -> Vault | None:
    """Return the vault, whose secret can be read, or None for a toy that waits to be set up."""
    identity = asdict(settings.identity)
    del identity["guardian_key"]  # not every guardian has one
    if not any(identity.values()):
        return None
    for key, value in identity.items():
        if not value:
            raise SettingsError(
                f"identity.{key} is empty while others are given: give all three or none"
            )
    keys = Path(settings.device.data_dir) / VAULT
    vault = FileVault(Path(settings.identity.secret_file), keys)
    try:
        vault.secret()
    except VaultError as error:
        raise SettingsError(f"identity.secret_file {error}") from None
    return vault


async def _run(
    settings: Settings,
    vault: Vault | None,
    show: Callable[[Step], str],
    on_stopped: Callable[[], None],
) -> int:
    toy = Toy(settings, vault)
    toy.loop.observers.append(partial(_print, toy, show))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, partial(toy.loop.post, "shutdown"))
    if sys.stdin is not None and sys.stdin.isatty():
        terminal = sys.stdin.fileno()
        loop.add_reader(terminal, lambda: _take_line(toy, terminal))
    try:
        toy.start()
        await toy.stopped.wait()
        on_stopped()
    finally:
        await toy.close()
    return exits.OK


def _print(toy: Toy, show: Callable[[Step], str], step: Step) -> None:
    try:
        print(show(step), flush=True)
    except BrokenPipeError:  # whoever watched has left
        toy.loop.post("shutdown")


def _as_text(step: Step) -> str:
    moved = f"{step.source} → {step.to}" if step.source != step.to else step.to
    return f"{step.event.at_ms / 1000:10.3f}  {step.event.name:16} {moved:44} {step.row}"


def _as_json(step: Step) -> str:
    event = step.event
    told = {"ms": event.at_ms, "event": event.name, "fields": dict(event.fields)}
    return json.dumps({**told, "from": step.source, "row": step.row, "to": step.to})


def _take_line(toy: Toy, terminal: int) -> None:
    """Take what was typed; nothing means that there is nobody any more."""
    try:
        line = os.read(terminal, LINE_BYTES_MAX).decode(errors="replace")
    except OSError:
        line = ""
    if not line:
        asyncio.get_running_loop().remove_reader(terminal)
        line = "quit"
    typed(toy, line)


def typed(toy: Toy, line: str) -> None:
    """Do what a person typed; what cannot be done is said on standard error."""
    hands: dict[str, Callable[[], None]] = {
        "press": toy.board.press,
        "release": toy.board.release,
        "tap": partial(taps, toy, 1),
        "double": partial(taps, toy, 2),
        "triple": partial(taps, toy, 3),
        "quit": partial(toy.loop.post, "shutdown"),
    }
    try:
        match line.strip().split(maxsplit=1):
            case []:
                return
            case ["hold", seconds]:
                toy.board.tap(_hold_ms(seconds))
            case ["say", name]:
                toy.microphone.speak_clip(name)
            case [word] if word in hands:
                hands[word]()
            case _:
                known = ", ".join((*hands, "hold SECONDS", "say FILE"))
                print(f"not understood: {line.strip()}; known are {known}", file=sys.stderr)
    except (HardwareError, ValueError) as error:
        print(error, file=sys.stderr)


def _hold_ms(text: str) -> int:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= HOLD_S_MAX:
        raise ValueError(f"hold {text}: give seconds, at most {HOLD_S_MAX}")
    return round(seconds * 1000)


def taps(toy: Toy, times: int) -> None:
    """Tap the button ``times``, as one chain."""
    loop = asyncio.get_running_loop()
    for number in range(times):
        loop.call_later(number * GAP_MS / 1000, toy.board.tap, TAP_MS)
