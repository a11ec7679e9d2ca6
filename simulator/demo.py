"""The whole toy on a desk: a conversation, heard and journalled.

Starts the development cloud on loopback and a toy on a virtual board, presses its button or calls
it by its wake word, speaks the clips into its microphone through the real pipeline (real wake word
engine, real Opus, real WebSocket, real Convex client), and writes DIR/reply.wav (what its speaker
played), DIR/journal.jsonl (every step) and DIR/summary.json. Exit codes: 0 every turn was answered,
1 one was not, 65 or 66 a clip cannot be used, 69 the cloud, the clips or espeak-ng are not there,
73 DIR cannot be written. Whatever ends it, what was
heard until then is kept.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urljoin

from firmware.app import Toy
from firmware.cloud.settings import CloudSettings
from firmware.commands import exits
from firmware.errors import StoreError
from firmware.settings import DeviceSettings, IdentitySettings, Settings
from firmware.stream.settings import DIALECTS, StreamSettings
from hardware.errors import (
    ClipError,
    ClipUnreadableError,
    ClipUnwritableError,
    CodecLibraryError,
)
from hardware.sim.vault import VirtualVault
from simulator.cloud_process import CloudProcess
from simulator.conversation import Clip, Conversation
from simulator.errors import ClipsMissingError, CloudLostError, SimulatorError, TurnError
from simulator.voices import Voice
from states.machine import Step

CLIPS_DIR: Final = Path("/usr/share/pocketsphinx/test/data")
CLIPS: Final = ("goforward.raw", "numbers.raw", "something.raw")
"""Recorded human speech from the package pocketsphinx-testdata (BSD).

Chosen because the recogniser hears the same words in them every time: in others it may hear
anything, and the toy says it aloud.
"""
WAKE_WORD: Final = "alexa"
CALLER: Final = Voice("caller", "espeak-ng", "en-gb+f3", 165, 60)
"""Who says it: a voice that the engine hears with certainty."""
FAULTS: Final[Mapping[str, Mapping[str, object]]] = {
    "cut": {"cut_stream_after_chunks": 20},
    "cut-reply": {"cut_reply_after_packets": 40},
    "no-reply": {"no_reply": True},
}
TERMINATED: Final = 143
"""As a shell says of a program that SIGTERM ended."""
PLAYERS: Final = (("paplay",), ("aplay", "-q"))
LIGHTS: Final = {"capture": "●", "sampling": "◌", "closed": " "}


class _Wanted(NamedTuple):
    """What shall be different from the usual, and how much is told."""

    fault: str | None
    dialect: str
    is_quiet: bool


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--say",
        action="append",
        type=Path,
        metavar="CLIP",
        help="a WAV file to speak; again for more turns",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("demo"),
        metavar="DIR",
        help="where the results go (default: demo)",
    )
    parser.add_argument(
        "--headless",
        action="store_true",
        help="do not play the reply through this machine's speaker",
    )
    parser.add_argument(
        "--fault", choices=sorted(FAULTS), help="let the cloud fail in the first turn"
    )
    parser.add_argument(
        "--dialect",
        choices=DIALECTS,
        default="auto",
        help="how the toy speaks to the gateway (default: auto, which asks it for binary)",
    )
    parser.add_argument("--quiet", action="store_true", help="print the summary only")


def run(arguments: argparse.Namespace) -> int:  # noqa: PLR0911 - one for each exit code
    """Hold the conversation and write what came of it."""
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s", level=logging.ERROR)
    out: Path = arguments.out
    try:
        clips = [Clip.read(path) for path in arguments.say or _recorded_clips()]
        wake_word = Clip(WAKE_WORD, CALLER.say(WAKE_WORD))
        out.mkdir(parents=True, exist_ok=True)
        wanted = _Wanted(arguments.fault, arguments.dialect, is_quiet=arguments.quiet)
        code = asyncio.run(_run(wake_word, clips, out, wanted))
    except (ClipUnwritableError, StoreError) as error:
        return exits.fail(exits.CANNOT_CREATE, str(error))
    except ClipUnreadableError as error:
        return exits.fail(exits.NO_INPUT, str(error))
    except ClipError as error:
        return exits.fail(exits.DATA, str(error))
    except (SimulatorError, CodecLibraryError) as error:
        return exits.fail(exits.UNAVAILABLE, str(error))
    except OSError as error:
        problem = f"{error.filename or out}: {error.strerror}; give another folder with --out"
        return exits.fail(exits.CANNOT_CREATE, problem)
    except asyncio.CancelledError:
        return exits.fail(TERMINATED, "told to stop")
    if code == exits.OK and not arguments.headless:
        _play(out / "reply.wav")
    return code


async def _run(wake_word: Clip, clips: Sequence[Clip], out: Path, wanted: _Wanted) -> int:
    _let_sigterm_cancel()
    tell = _quiet if wanted.is_quiet else _Narrator()
    secret = secrets.token_hex(24)
    with tempfile.TemporaryDirectory(prefix="pommai-demo-") as data:
        async with CloudProcess(secret) as cloud:
            await cloud.put("configuration", {"wakeWord": wake_word.name, "wakeWordEnabled": True})
            if wanted.fault is not None:
                await cloud.set_faults(FAULTS[wanted.fault])
            settings = _settings(cloud, data, wanted.dialect)
            toy = Toy(settings, VirtualVault(secret), out / "journal.jsonl")
            if isinstance(tell, _Narrator):
                toy.loop.observers.append(tell.step)
            conversation = Conversation(toy, wake_word, clips, tell)
            return await _converse(toy, conversation, cloud, out)


def _let_sigterm_cancel() -> None:
    """End as by Ctrl-C: the cloud's process and the temporary folder go, the results stay."""
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - a coroutine calls
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


async def _converse(toy: Toy, conversation: Conversation, cloud: CloudProcess, out: Path) -> int:
    failure: str | None = "it was interrupted"
    try:
        toy.start()
        await conversation.get_ready()
        await conversation.hold()
        failure = None
    except TurnError as error:
        failure = str(error)
    finally:
        try:
            heard = await cloud.turns()
        except CloudLostError:
            heard = []
        await toy.close()
        summary = _summary(toy, conversation, heard, failure)
        _write(toy, summary, out)
    _tell_summary(summary, out)
    return exits.OK if failure is None else exits.fail(exits.NOT_SO, failure)


def _write(toy: Toy, summary: Mapping[str, Any], out: Path) -> None:
    text = json.dumps(summary, indent=2) + "\n"
    (out / "summary.json").write_text(text, encoding="utf-8")
    toy.speaker.write_wav(out / "reply.wav")


def _settings(cloud: CloudProcess, data: str, dialect: str) -> Settings:
    # In the gateway dialect the address is that of the server, and the rest is added to it.
    url = urljoin(cloud.stream_url, "/") if dialect == "gateway" else cloud.stream_url
    return Settings(
        identity=IdentitySettings(device_id="dev-sim-1", toy_id="toy-sim-1"),
        device=DeviceSettings(board="sim", data_dir=data),
        cloud=CloudSettings(url=cloud.convex_url),
        stream=StreamSettings(url=url, dialect=dialect),
    )


def _recorded_clips() -> list[Path]:
    clips = [CLIPS_DIR / name for name in CLIPS]
    missing = [clip for clip in clips if not clip.exists()]
    if missing:
        raise ClipsMissingError(
            f"{missing[0]} is not there: install the package pocketsphinx-testdata, "
            "or give clips with --say"
        )
    return clips


def _summary(
    toy: Toy,
    conversation: Conversation,
    heard: Sequence[Mapping[str, Any]],
    failure: str | None,
) -> dict[str, Any]:
    visited = dict.fromkeys(step.to for step in conversation.steps)
    turns = [asdict(turn) for turn in conversation.turns]
    for turn, cloud in zip(turns, heard, strict=False):
        turn["heard_by_cloud"], turn["reply"] = cloud["transcript"], cloud["reply"]
    return {
        "answered": failure is None,
        "failure": failure,
        "wake_word": WAKE_WORD,
        "turns": turns,
        "states_visited": list(visited),
        "steps": toy.journal.steps,
        "stream": asdict(toy.backend.stream.counters) if toy.backend else None,
    }


class _Narrator:
    """Tells what a person would see and hear, with the time since the start."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def __call__(self, line: str) -> None:
        print(f"{time.monotonic() - self._began:6.2f} s  {line}", flush=True)

    def step(self, step: Step) -> None:
        for effect in step.effects:
            if effect.name == "light":
                mark = LIGHTS[str(effect.fields["microphone"])]
                self(f"  {mark} {step.to:22} light {effect.fields['pattern']}")


def _quiet(_: str) -> None:
    """Tell nothing."""


def _tell_summary(summary: Mapping[str, Any], out: Path) -> None:
    print()
    for number, turn in enumerate(summary["turns"], 1):
        verdict = "answered" if turn["answered"] else f"NOT ANSWERED ({turn['outcome']})"
        if turn["interrupted"]:
            verdict = "answered, and interrupted by the next"
        print(f"turn {number}, by {turn['begun_by']}: {verdict}")
        if turn["woken_ms"] is not None:
            print(f'    woken  {turn["woken_ms"]} ms after "{summary["wake_word"]}" was said')
        print(f"    heard  {turn.get('heard_by_cloud') or '-'}")
        print(f"    reply  {turn.get('reply') or '-'}")
    print(
        f"{summary['steps']} steps in {out}/journal.jsonl, the toy's voice in {out}/reply.wav, "
        f"figures in {out}/summary.json"
    )
    print(f"check it: pommai replay {out}/journal.jsonl")


def _play(path: Path) -> None:
    """Let the person hear it, where this machine has a way to."""
    for player in PLAYERS:
        if shutil.which(player[0]):
            print(f"playing {path}", flush=True)
            done = subprocess.run([*player, str(path)], check=False, capture_output=True)  # noqa: S603 - fixed program
            if done.returncode == 0:
                return
    print(f"no sound device found: play {path} yourself", file=sys.stderr)
