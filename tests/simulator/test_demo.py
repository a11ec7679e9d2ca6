"""``pommai demo`` and ``pommai cloud`` as a person runs them: the whole toy, with real sound.

The long ones run beside each other, two at a time, and each is looked at by several tests.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from hardware.pcm import FRAME_BYTES, read_wav, rms, write_wav
from hardware.sim.speaker import AUDIBLE_RMS
from simulator.cloud_process import CloudProcess
from simulator.demo import CLIPS, CLIPS_DIR, _settings, add_arguments, run
from states.journal import read
from states.replay import replay
from tests.devcloud import clips
from tests.firmware.commands.pommai import TIMEOUT_S, complains, pommai, running

SPOKEN: Final = tuple(
    CLIPS_DIR / clip for clip in (CLIPS[0], clips.SEVEN_OF_CLUBS, clips.THREE_CARDS)
)

DEMO_TIMEOUT_S: Final = 120
"""Three turns with their replies take half a minute where there is nothing else to do."""


class Shown(NamedTuple):
    """A demo that has ended: what it said, and the folder with what it left."""

    done: subprocess.CompletedProcess[str]
    out: Path

    @property
    def summary(self) -> dict[str, Any]:
        """The figures."""
        return dict(json.loads((self.out / "summary.json").read_text()))

    @property
    def audible_s(self) -> float:
        """How long something could be heard of the toy."""
        pcm = read_wav(self.out / "reply.wav")
        frames = (pcm[at : at + FRAME_BYTES] for at in range(0, len(pcm), FRAME_BYTES))
        return sum(rms(frame) >= AUDIBLE_RMS for frame in frames) * 0.02

    def holds_all(self) -> bool:
        """Tell whether nothing was lost: three files, and a journal that replays."""
        lines = (self.out / "journal.jsonl").read_text().splitlines(keepends=True)
        journal = read(lines)
        replayed = replay(journal)
        assert replayed.difference is None
        assert not journal.torn
        return replayed.total == int(self.summary["steps"])


def demo(out: Path, *arguments: str | Path) -> Shown:
    """Hold a conversation to its end."""
    given = ("demo", "--headless", "--quiet", "--out", out, *arguments)
    return Shown(pommai(*given, patience_s=DEMO_TIMEOUT_S), out)


def silence(folder: Path) -> Path:
    """Return a clip in which nobody speaks."""
    path = folder / "silence.wav"
    write_wav(path, bytes(32_000))
    return path


def ended_in_the_middle(out: Path) -> Shown:
    """Tell a demo to stop while the child speaks."""
    with running("demo", "--headless", "--out", out, "--say", SPOKEN[0]) as process:
        assert process.stdout is not None
        next(line for line in process.stdout if "streaming.sending" in line)
        process.send_signal(signal.SIGTERM)
        said, complained = process.communicate(timeout=TIMEOUT_S)
    done = subprocess.CompletedProcess(process.args, process.returncode, said, complained)
    return Shown(done, out)


def bereft_of_its_cloud(out: Path) -> Shown:
    """Kill the cloud of a demo while the child speaks."""
    with running("demo", "--headless", "--out", out, "--say", SPOKEN[0]) as process:
        assert process.stdout is not None
        next(line for line in process.stdout if "streaming.sending" in line)
        os.kill(cloud_of(process.pid), signal.SIGKILL)
        said, complained = process.communicate(timeout=TIMEOUT_S)
    done = subprocess.CompletedProcess(process.args, process.returncode, said, complained)
    return Shown(done, out)


def cloud_of(demo_pid: int) -> int:
    """Return the process that is the demo's cloud."""
    children = Path(f"/proc/{demo_pid}/task/{demo_pid}/children").read_text().split()
    (cloud,) = (
        int(child)
        for child in children
        if b"devcloud" in Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
    )
    return cloud


@pytest.fixture(scope="module")
def demos(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[Shown]]]:
    """Every long demo of this module, begun; two run at once."""
    if not all(clip.exists() for clip in SPOKEN):
        pytest.skip("the package pocketsphinx-testdata is not installed")
    base = tmp_path_factory.mktemp("demos")
    say = [argument for clip in SPOKEN for argument in ("--say", clip)]
    with ThreadPoolExecutor(2) as pool:
        yield {
            "whole": pool.submit(demo, base / "whole", *say),
            "cut": pool.submit(demo, base / "cut", "--fault", "cut", "--say", SPOKEN[0]),
            "silent": pool.submit(demo, base / "silent", "--say", silence(base)),
            "ended": pool.submit(ended_in_the_middle, base / "ended"),
            "bereft": pool.submit(bereft_of_its_cloud, base / "bereft"),
        }


@pytest.fixture
def whole(demos: dict[str, Future[Shown]]) -> Shown:
    """A demo of three turns, by press, by barge-in and by wake word; nothing goes wrong."""
    return demos["whole"].result(DEMO_TIMEOUT_S)


def test_a_conversation_is_answered_and_the_exit_code_says_so(whole: Shown) -> None:
    """Nothing is complained of; the summary tells each turn and how to check the journal."""
    assert (whole.done.returncode, whole.done.stderr) == (0, "")
    lines = whole.done.stdout.splitlines()
    assert lines[1] == "turn 1, by press: answered, and interrupted by the next"
    assert lines[4] == "turn 2, by barge-in: answered"
    assert lines[7] == "turn 3, by wake word: answered"
    assert re.fullmatch(r' {4}woken  -?\d+ ms after "alexa" was said', lines[8])
    assert lines[-1] == f"check it: pommai replay {whole.out}/journal.jsonl"


def test_the_toys_voice_can_be_heard(whole: Shown) -> None:
    """Some seconds of it, not only cues."""
    assert whole.audible_s > 3


def test_the_journal_replays_identically(whole: Shown) -> None:
    """As the last line of the summary says."""
    assert whole.holds_all()
    done = pommai("replay", whole.out / "journal.jsonl")
    assert (done.returncode, done.stdout) == (
        0,
        f"{whole.summary['steps']} steps, all identical.\n",
    )


def test_each_clip_gives_its_transcript_and_its_reply(whole: Shown) -> None:
    """The real recogniser heard real speech, and answered what it heard."""
    summary = whole.summary
    assert (summary["answered"], summary["failure"]) == (True, None)
    assert all(turn["answered"] for turn in summary["turns"])
    first, second, third = (turn["heard_by_cloud"] for turn in summary["turns"])
    assert "forward" in first
    assert "seven of clubs" in second
    assert "seven of hearts" in third
    assert all(turn["reply"] for turn in summary["turns"])
    assert len({turn["reply"] for turn in summary["turns"]}) == 3


def test_the_second_turn_interrupts_the_first(whole: Shown) -> None:
    """By a press in the middle of the reply."""
    first, second, _ = whole.summary["turns"]
    assert (first["outcome"], first["interrupted"]) == ("interrupted", True)
    assert (second["begun_by"], second["outcome"]) == ("barge-in", "answered")
    # Left to choose, toy and cloud speak the binary dialect: the turn is cancelled by its number.
    stream = whole.summary["stream"]
    assert (stream["turns_cancelled"], stream["connections_fenced"]) == (1, 0)


def test_the_third_turn_begins_with_the_wake_word_by_sound_alone(whole: Shown) -> None:
    """The engine heard it, once, in all that was said."""
    first, second, third = whole.summary["turns"]
    assert (first["woken_ms"], second["woken_ms"]) == (None, None)
    assert (third["begun_by"], third["outcome"]) == ("wake word", "answered")
    assert abs(third["woken_ms"]) < 1_000
    journal = (whole.out / "journal.jsonl").read_text().splitlines(keepends=True)
    assert [entry.step.row for entry in read(journal).entries].count("turn.wake") == 1


def test_states_latencies_and_bytes_are_in_the_summary(whole: Shown) -> None:
    """What the budgets are about; the light is at once."""
    summary = whole.summary
    for turn in summary["turns"]:
        assert turn["states"][:2] == ["listening.hearing", "streaming.sending"]
        assert "speaking" in turn["states"]
        assert 0 <= turn["light_ms"] <= 20
        assert turn["first_sound_ms"] > 0
    assert {"auth", "idle.awake", "streaming.waiting"} <= set(summary["states_visited"])
    assert summary["stream"]["bytes_up"] > 10_000
    assert summary["stream"]["bytes_down"] > 10_000


def test_a_stream_that_is_cut_ends_with_1_and_says_so(demos: dict[str, Future[Shown]]) -> None:
    """What was recorded until then is kept."""
    shown = demos["cut"].result(60)
    complains(
        shown.done,
        1,
        says="turn 1 (goforward.raw) was not answered: "
        "the stream was cut in the middle of the turn",
    )
    assert "turn 1, by press: NOT ANSWERED (stream cut)" in shown.done.stdout
    assert shown.summary["answered"] is False
    assert shown.summary["failure"] in shown.done.stderr
    assert shown.holds_all()


def test_silence_ends_with_1_and_says_so(demos: dict[str, Future[Shown]]) -> None:
    """Nothing was heard, so nothing left the toy."""
    shown = demos["silent"].result(60)
    complains(
        shown.done,
        1,
        says="turn 1 (silence.wav) was not answered: nothing was heard within 5 s: "
        "the clip is silent, or too quiet to be speech",
    )
    assert shown.summary["turns"][0]["outcome"] == "nothing said"
    assert "streaming.sending" not in shown.summary["states_visited"]
    assert shown.holds_all()


def test_a_demo_that_is_told_to_stop_keeps_what_there_is(demos: dict[str, Future[Shown]]) -> None:
    """In the middle of a turn; the cloud's process does not outlive it."""
    shown = demos["ended"].result(60)
    complains(shown.done, 143, says="told to stop")
    assert shown.summary["failure"] == "it was interrupted"
    assert shown.summary["turns"][0]["answered"] is False
    assert shown.holds_all()


def test_a_cloud_that_dies_ends_with_1_and_says_so(demos: dict[str, Future[Shown]]) -> None:
    """The toy notices it as it would a gateway that is gone."""
    shown = demos["bereft"].result(60)
    complains(
        shown.done,
        1,
        says="turn 1 (goforward.raw) was not answered: "
        "the stream was cut in the middle of the turn",
    )
    assert shown.holds_all()


def test_a_missing_clip_is_one_line_and_nothing_is_begun(tmp_path: Path) -> None:
    """It says which file, and what to give."""
    shown = demo(tmp_path / "out", "--say", tmp_path / "none.wav")
    complains(shown.done, 66, f"{tmp_path / 'none.wav'}: cannot be read", "give the path of a WAV")
    assert shown.done.stdout == ""
    assert not shown.out.exists()


def test_what_is_no_recording_is_one_line_and_nothing_is_begun(tmp_path: Path) -> None:
    """It says which file, and how to convert it."""
    (tmp_path / "song.wav").write_text("la la la")
    shown = demo(tmp_path / "out", "--say", tmp_path / "song.wav")
    complains(shown.done, 65, f"{tmp_path / 'song.wav'}: is not a WAV file; convert it")
    assert not shown.out.exists()


def test_one_without_a_synthesizer_is_told_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The child has no voice to say the wake word with, so nothing is begun."""
    write_wav(tmp_path / "hello.wav", bytes(32_000))
    monkeypatch.setenv("PATH", "/nowhere")
    out, say = str(tmp_path / "out"), str(tmp_path / "hello.wav")
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    assert run(parser.parse_args(["--headless", "--out", out, "--say", say])) == 69
    assert capsys.readouterr().err == (
        "pommai: espeak-ng cannot be found: install the package espeak-ng\n"
    )
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("out", ["file", "file/below"])
def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path, out: str) -> None:
    """Before the cloud is started."""
    (tmp_path / "file").touch()
    write_wav(tmp_path / "hello.wav", bytes(32_000))
    shown = demo(tmp_path / out, "--say", tmp_path / "hello.wav")
    complains(shown.done, 73, str(tmp_path / out), "give another folder with --out")
    assert shown.done.stdout == ""


def test_a_cloud_whose_port_is_taken_is_one_line() -> None:
    """It says which port, and what to do."""
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = pommai("cloud", "--port", str(port))
    assert (done.returncode, done.stdout) == (69, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"cloud: port {port} on 127.0.0.1 is in use: ")
    assert "--port" in line


def test_a_cloud_runs_until_it_is_told_to_stop() -> None:
    """It says where it is, in one line that a program reads."""
    with running("cloud", "--port", "0", "--json") as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGTERM)
        said, complained = process.communicate(timeout=TIMEOUT_S)
    assert (process.returncode, said, complained) == (0, "", "")
    assert ready["convex_url"].startswith("http://127.0.0.1:")


@pytest.mark.parametrize(
    ("dialect", "url"),
    [
        ("auto", "ws://127.0.0.1:7/audio-stream"),
        ("seed", "ws://127.0.0.1:7/audio-stream"),
        ("binary", "ws://127.0.0.1:7/audio-stream"),
        ("gateway", "ws://127.0.0.1:7/"),
    ],
)
def test_the_toy_speaks_the_dialect_that_is_wanted(dialect: str, url: str) -> None:
    """The gateway dialect makes its own path below the server's address."""
    cloud = CloudProcess("secret")
    cloud.convex_url, cloud.stream_url = "http://127.0.0.1:7", "ws://127.0.0.1:7/audio-stream"
    settings = _settings(cloud, "data", dialect)
    assert (settings.stream.dialect, settings.stream.url) == (dialect, url)


def test_a_dialect_that_nobody_speaks_is_refused() -> None:
    """With those that are."""
    done = pommai("demo", "--dialect", "morse")
    assert done.returncode == 2
    assert "'auto', 'seed', 'gateway', 'binary'" in done.stderr
