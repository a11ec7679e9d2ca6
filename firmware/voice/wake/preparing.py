"""Finds out whether a wake word can be used, and what it takes to hear it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, cast, get_args

from firmware.voice.errors import WakeWordRefusal, WakeWordRefusedError
from firmware.voice.wake.micro import StockRecipe, stock_word
from firmware.voice.wake.prepared import Prepared

COMMAND: Final = (sys.executable, "-m", "firmware.voice.wake.child")

PHRASE_TRIAL_MS_MAX: Final = 2_700_000
"""Longest trial of a phrase: a Pi that has other things to do takes some ten minutes."""
MODEL_TRIAL_MS_MAX: Final = 300_000
"""Longest trial of a model: a Pi takes about a minute."""
ANSWER_BYTES_MAX: Final = 65_536

# Where the child finds the same firmware as this, installed or not.
_TREE: Final = Path(__file__).resolve().parents[3]
# The child's whole environment, beside what keeps its arithmetic to one core. The firmware's own
# may hold its settings, secrets included.
_ENVIRONMENT_KEPT: Final = ("LD_LIBRARY_PATH", "PATH", "PYTHONHOME", "PYTHONPATH")
_ONE_CORE: Final = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


async def prepare(word: str | Path, *, command: Sequence[str] = COMMAND) -> Prepared:
    """Try a wake word. A phrase takes minutes on a Pi; cancel it at any time.

    Args:
        word: A phrase, or the file of a microWakeWord model that was fetched and verified.
        command: What to start instead of the child that tries it, in tests.

    Raises:
        WakeWordRefusedError: It cannot be used; its reason says why.
    """
    if isinstance(word, Path):
        return await _tried({"model": str(word)}, MODEL_TRIAL_MS_MAX, "bad_model", command)
    stock = stock_word(word)
    if stock is None:
        return await _tried({"phrase": word}, PHRASE_TRIAL_MS_MAX, "unavailable", command)
    prepared = Prepared(StockRecipe(stock))
    engine = await asyncio.to_thread(prepared.make)
    engine.close()
    return prepared


async def _tried(
    job: dict[str, object], limit_ms: int, failure: WakeWordRefusal, command: Sequence[str]
) -> Prepared:
    """Have a child try it; `failure` is what it means when the child ends without an answer."""
    try:
        child = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,  # it could say anything
            cwd=_TREE,
            env=_ONE_CORE | {n: os.environ[n] for n in _ENVIRONMENT_KEPT if n in os.environ},
            start_new_session=True,  # an interrupt from the terminal is for us alone
        )
    except OSError as error:
        raise WakeWordRefusedError("unavailable") from error
    line = json.dumps(job | {"parent": os.getpid()}).encode() + b"\n"
    try:
        async with asyncio.timeout(limit_ms / 1000):
            answer = await _answer(child, line)
    except TimeoutError as error:
        raise WakeWordRefusedError("timed_out") from error
    finally:
        _kill(child)
        await child.wait()
    return _understood(answer, failure)


async def _answer(child: asyncio.subprocess.Process, line: bytes) -> bytes:
    assert child.stdin is not None  # noqa: S101 - it is a pipe
    assert child.stdout is not None  # noqa: S101
    with contextlib.suppress(ConnectionError):  # it has ended: what it said counts
        child.stdin.write(line)
        await child.stdin.drain()
    child.stdin.close()
    answer = await child.stdout.read(ANSWER_BYTES_MAX)
    while more := await child.stdout.read(ANSWER_BYTES_MAX):
        answer = (answer + more)[:ANSWER_BYTES_MAX]
    return answer


def _understood(answer: bytes, failure: WakeWordRefusal) -> Prepared:
    try:
        said = json.loads(answer)
    except (ValueError, RecursionError):
        raise WakeWordRefusedError(failure) from None  # it would carry what the child said
    match said:
        case {"facts": dict(facts)}:
            return Prepared.from_facts(facts)
        case {"refused": reason} if reason in get_args(WakeWordRefusal):
            raise WakeWordRefusedError(cast("WakeWordRefusal", reason))
    raise WakeWordRefusedError(failure)


def _kill(child: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        child.kill()
