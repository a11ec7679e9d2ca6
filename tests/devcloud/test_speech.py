from __future__ import annotations

import asyncio
import re
from array import array
from typing import TYPE_CHECKING

import pytest
from pocketsphinx import Decoder as Recogniser

from devcloud import replies, speech
from devcloud.errors import MissingPartError, SpeechError
from devcloud.opus import Decoder, Encoder
from devcloud.speech import Speaker, Speech

if TYPE_CHECKING:
    from pathlib import Path


async def speak(text: str) -> Speech:
    return await Speaker().speak(text)


def over_the_wire(spoken: Speech) -> bytes:
    """What a device hears: resampled, encoded and decoded."""
    with Encoder() as encoder, Decoder() as decoder:
        return b"".join(decoder.decode(encoder.encode(frame)) for frame in spoken.frames())


def plain_words(text: str) -> str:
    return " ".join(re.findall(r"[a-z']+", text.lower()))


ANSWERS = [replies.NOTHING_HEARD, replies.OTHERWISE, *(topic.answer for topic in replies.TOPICS)]


@pytest.fixture(scope="module")
def judge() -> Recogniser:
    """A recogniser that knows all the answers and says which one it hears."""
    decoder = Recogniser(samprate=16000, lm=None, loglevel="FATAL")
    sentences = " | ".join(plain_words(answer) for answer in ANSWERS)
    decoder.add_jsgf_string("answers", f"#JSGF V1.0; grammar answers; public <any> = {sentences};")
    decoder.activate_search("answers")
    return decoder


@pytest.mark.parametrize("answer", [ANSWERS[0], ANSWERS[1], ANSWERS[4]])
def test_an_answer_can_be_understood_at_the_devices_end(judge: Recogniser, answer: str) -> None:
    pcm = over_the_wire(asyncio.run(speak(answer)))
    judge.start_utt()
    judge.process_raw(pcm, full_utt=True)
    judge.end_utt()
    assert judge.hyp().hypstr == plain_words(answer)


def test_different_texts_sound_different_and_last_as_they_should() -> None:
    short, long = (asyncio.run(speak(text)) for text in ("Hello.", "Hello. " * 5))
    assert 0.3 < len(short.samples) / short.rate_hz < 1.5
    assert len(long.samples) > 3 * len(short.samples)


def test_the_sound_is_loud_enough_and_not_cut_off() -> None:
    samples = array("h", over_the_wire(asyncio.run(speak("Hello, my friend!"))))
    assert 8_000 < max(map(abs, samples)) < 32_767


def test_a_text_cannot_be_taken_for_an_option() -> None:
    assert asyncio.run(speak("--help")).samples


def test_a_missing_synthesiser_is_named_with_its_package(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingPartError, match="install the package espeak-ng"):
        Speaker()


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("exit 3", "ended with 3"),
        ("exit 0", "gave no sound"),
        ("echo this is no sound at all, whatever its length may be", "gave no sound"),
        ("exec cat", "did not end within"),
    ],
)
def test_a_synthesiser_that_fails_is_given_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str, says: str
) -> None:
    program = tmp_path / speech.PROGRAM
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    if says == "did not end within":
        program.write_text("#!/bin/sh\nread line\nexec tail -f /dev/null\n")
        monkeypatch.setattr(speech, "TIMEOUT_S", 0.1)
    with pytest.raises(SpeechError, match=says):
        asyncio.run(speak("Hello."))
