"""Trying a wake word in a child process."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pymicro_wakeword
import pytest

from firmware.voice.errors import WakeWordRefusedError
from firmware.voice.wake import preparing
from firmware.voice.wake.micro import ModelRecipe
from firmware.voice.wake.prepared import Prepared
from firmware.voice.wake.preparing import prepare
from tests.firmware.voice.wake.speech import heard_ms, spoken

MODEL = Path(pymicro_wakeword.__file__).parent / "models" / "alexa.tflite"
FACTS = {"kind": "stock", "word": "alexa"}


def child(program: str) -> tuple[str, ...]:
    """A child that reads its job, and then runs a program."""
    return (sys.executable, "-c", f"import json, os, sys\njob = sys.stdin.readline()\n{program}")


def refusal(word: str | Path, command: tuple[str, ...] = preparing.COMMAND) -> str:
    with pytest.raises(WakeWordRefusedError) as refused:
        asyncio.run(prepare(word, command=command))
    return refused.value.reason


def test_what_the_child_accepts_is_prepared() -> None:
    command = child(f"print(json.dumps({{'facts': {FACTS!r}}}))")
    assert asyncio.run(prepare("hello teddy bear", command=command)) == Prepared.from_facts(FACTS)


def test_child_refuses_with_a_reason() -> None:
    assert refusal("hello teddy bear", child('print(\'{"refused": "not_heard"}\')')) == "not_heard"


@pytest.mark.parametrize(
    "program",
    ["os.abort()", "pass", "print('nonsense')", "print('[]')", "print('{\"refused\": \"x\"}')",
     "print('[' * 100000)", "print(' ' * 1000000)"],
)  # fmt: skip
def test_child_that_gives_no_answer_refuses_a_model_as_bad_and_a_phrase_as_not_to_be_had(
    program: str,
) -> None:
    assert refusal(Path("some.tflite"), child(program)) == "bad_model"
    assert refusal("hello teddy bear", child(program)) == "unavailable"


def test_child_that_cannot_be_started_makes_it_unavailable() -> None:
    assert refusal("hello teddy bear", ("/no/such/program",)) == "unavailable"


def test_phrase_is_in_no_argument_and_no_environment_of_the_child() -> None:
    program = (
        "def read(name): return open(f'/proc/self/{name}').read()\n"
        "assert 'hel' + 'lo' in job\n"
        "assert 'hel' + 'lo' not in read('cmdline') + read('environ')\n"
        f"print(json.dumps({{'facts': {FACTS!r}}}))"
    )
    asyncio.run(prepare("hello teddy bear", command=child(program)))


def children() -> set[psutil.Process]:
    """Every process that is ours; other tests may have left some that serve them all."""
    return set(psutil.Process().children(recursive=True))


def test_trial_that_takes_too_long_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preparing, "PHRASE_TRIAL_MS_MAX", 200)
    before = children()
    hanging = child("sys.stdin.read()\nwhile True: pass")
    assert refusal("hello teddy bear", hanging) == "timed_out"
    assert children() <= before


def test_cancelled_trial_leaves_no_process(tmp_path: Path) -> None:
    before = children()
    fifo = tmp_path / "started"
    os.mkfifo(fifo)

    async def cancel() -> None:
        command = child(f"open({str(fifo)!r}, 'w').close()\nwhile True: pass")
        task = asyncio.create_task(prepare("hello teddy bear", command=command))
        await asyncio.to_thread(fifo.read_bytes)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())
    assert children() <= before


@pytest.mark.parametrize(
    ("phrase", "reason"), [("bear", "too_short"), ("hello 2 bears", "unspeakable")]
)
def test_phrase_that_cannot_be_one_is_refused_at_once(phrase: str, reason: str) -> None:
    assert refusal(phrase) == reason


def truncated(content: bytes) -> bytes:
    return content[: len(content) // 2]


def scrambled(content: bytes) -> bytes:
    noise = hashlib.sha512(content).digest()
    return content[:64] + (noise * (len(content) // 64))[: len(content) - 64]


@pytest.mark.parametrize("damage", [truncated, scrambled])
def test_broken_model_is_refused_and_harms_nobody(
    tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    model = tmp_path / "word.tflite"
    model.write_bytes(damage(MODEL.read_bytes()))
    assert refusal(model) == "bad_model"


@pytest.mark.parametrize("content", [b"", b"nothing", b"TFL3" * 300_000])
def test_file_that_is_no_model_is_refused(tmp_path: Path, content: bytes) -> None:
    model = tmp_path / "word.tflite"
    model.write_bytes(content)
    assert refusal(model) == "bad_model"


def test_missing_model_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none.tflite") == "bad_model"


def test_orphan_does_nothing() -> None:
    job = json.dumps({"parent": os.getppid(), "phrase": "hello teddy bear"})
    done = subprocess.run(
        preparing.COMMAND, input=job.encode(), capture_output=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout) == (3, b"")


def recipe(model: Path) -> ModelRecipe:
    return ModelRecipe(str(model), hashlib.sha256(model.read_bytes()).hexdigest(), 0.7)


def test_model_hears_its_word(tmp_path: Path) -> None:
    model = tmp_path / "word.tflite"
    model.write_bytes(MODEL.read_bytes())
    facts = json.loads(json.dumps(Prepared(recipe(model)).to_facts()))
    engine = Prepared.from_facts(facts).make()
    assert len(heard_ms(engine, spoken("Alexa!"))) == 1
    engine.close()


def test_model_that_was_exchanged_is_not_used(tmp_path: Path) -> None:
    model = tmp_path / "word.tflite"
    model.write_bytes(MODEL.read_bytes())
    prepared = Prepared(recipe(model))
    model.write_bytes(MODEL.with_stem("okay_nabu").read_bytes())
    with pytest.raises(WakeWordRefusedError) as refused:
        prepared.make()
    assert refused.value.reason == "bad_model"


def test_path_is_in_no_text_of_what_was_prepared(tmp_path: Path) -> None:
    prepared = Prepared(ModelRecipe(str(tmp_path), "00", 0.7))
    assert str(tmp_path) not in repr(prepared) + repr(prepared.recipe)
