"""The sound card of the desk: what is said is heard, exactly and on time; it can be pulled out."""

from __future__ import annotations

import asyncio
import stat
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from hardware import pcm
from simulator import sound_server
from simulator.errors import SoundServerError, SoundServerMissingError
from simulator.sound_recording import WINDOW_MS
from simulator.sound_server import SoundServer
from tests.hardware.voices import voice

LATE_MS_MAX = 1_000
"""How late something may be on a machine that is busy with other tests."""


def in_a_room(claim: Callable[[SoundServer], Awaitable[None]], **rates_hz: int) -> SoundServer:
    """Run a claim about a server of its own, which is gone afterwards."""

    async def main() -> SoundServer:
        async with SoundServer(**rates_hz) as sound:
            await claim(sound)
        return sound

    return asyncio.run(main())


def words(ms: int = 400) -> bytes:
    return voice()[: ms * pcm.BYTES_PER_MS]


def test_what_is_said_is_heard_by_the_microphone_bit_for_bit_and_on_time() -> None:
    async def claim(sound: SoundServer) -> None:
        async with sound.record("microphone") as heard, sound.record("speaker") as speaker:
            began_ms = time.monotonic() * 1000
            await sound.say(words())
            at = await heard.sound()
            assert began_ms <= heard.heard_ms(at) < began_ms + LATE_MS_MAX
            end = await heard.silence(at, 200)
            assert heard.heard_ms(end) < time.monotonic() * 1000
            assert words() in heard.pcm
            assert not any(speaker.pcm)
            assert abs(heard.sample_at(heard.heard_ms(end)) - end) <= 1

    in_a_room(claim)


def test_nothing_of_it_is_left_and_only_its_owner_could_read_it() -> None:
    folders: list[int] = []

    async def claim(sound: SoundServer) -> None:
        folders.append(stat.S_IMODE(sound.folder.stat().st_mode))
        assert sound._process is not None
        folders.append(sound._process.pid)

    sound = in_a_room(claim)
    mode, pid = folders
    assert mode == 0o700
    assert not sound.folder.exists()
    assert not Path(f"/proc/{pid}").exists()


@pytest.mark.parametrize("device", ["microphone", "speaker"])
def test_a_device_that_is_pulled_out_ends_its_streams_and_comes_back(
    device: sound_server.Device,
) -> None:
    async def claim(sound: SoundServer) -> None:
        async with sound.record(device) as heard:
            await sound.remove(device)
            with pytest.raises(SoundServerError, match="its device is gone"):
                await heard.until(lambda: False)
            assert heard.has_ended
        with pytest.raises(SoundServerError, match="is not there"):
            await sound.remove(device)
        with pytest.raises(SoundServerError, match="its device is gone"):
            async with sound.record(device):
                pytest.fail("it recorded what is not there")
        await sound.restore(device)
        with pytest.raises(SoundServerError, match="is there already"):
            await sound.restore(device)
        async with sound.record(device) as heard:
            assert heard.samples

    in_a_room(claim)


def test_a_server_that_is_killed_can_be_started_again() -> None:
    async def claim(sound: SoundServer) -> None:
        async with sound.record() as heard:
            with pytest.raises(SoundServerError, match="kill it first"):
                await sound.start()
            await sound.kill()
            with pytest.raises(SoundServerError, match="its device is gone"):
                await heard.until(lambda: False)
        with pytest.raises(SoundServerError, match="nothing can be said"):
            await sound.say(words())
        with pytest.raises(SoundServerError, match="speaker is not there"):
            await sound.remove("speaker")
        await sound.start()
        async with sound.record("microphone") as heard:
            await sound.say(words())
            await heard.sound()

    in_a_room(claim)


def test_whatever_was_done_to_it_is_mended() -> None:
    async def claim(sound: SoundServer) -> None:
        await sound.mend()
        for harm in (sound.remove("speaker"), sound.remove("microphone"), sound.kill()):
            await sound.echo(on=True)
            await harm
            await sound.mend()
            async with sound.record() as speaker, sound.record("microphone") as heard:
                await play(sound)
                await speaker.sound()
                assert not any(heard.pcm)

    in_a_room(claim)


def test_the_echo_brings_the_speaker_to_the_microphone_only_while_it_is_on() -> None:
    async def claim(sound: SoundServer) -> None:
        async with sound.record("microphone") as heard:
            for on in (True, False):
                await sound.echo(on=on, gain_db=-12)
                began = heard.samples
                await play(sound)
                if on:
                    await heard.silence(await heard.sound(began), 100)
                    loudest = max(map(abs, pcm.from_bytes(heard.since(began))))
                    expected = max(map(abs, pcm.from_bytes(words()))) * 10 ** (-12 / 20)
                    assert loudest == pytest.approx(expected, rel=0.15)
            assert not any(heard.since(began))
            with pytest.raises(SoundServerError, match="echo is not there"):
                await sound.echo(on=False)

    in_a_room(claim)


async def play(sound: SoundServer) -> None:
    """Play something as the toy would."""
    given = ("--raw", "--format=s16le", "--channels=1", "--rate=16000", "--latency-msec=200")
    process = await sound._spawn("pacat", "--device=spk", *given, is_piped=True)
    await process.communicate(words())
    assert process.returncode == 0


def test_devices_of_other_rates_convert() -> None:
    async def claim(sound: SoundServer) -> None:
        async with sound.record("microphone") as heard:
            await sound.say(words())
            at = await heard.sound()
            end = await heard.silence(at, 100)
            level = np.std(np.frombuffer(heard.pcm, np.int16)[at:end].astype(float))
            said = np.frombuffer(words(), np.int16).astype(float)
            assert level == pytest.approx(np.std(said), rel=0.1)

    in_a_room(claim, microphone_hz=48_000, speaker_hz=44_100)


def test_nothing_heard_is_told_after_a_time() -> None:
    async def claim(sound: SoundServer) -> None:
        async with sound.record() as heard:
            with pytest.raises(TimeoutError):
                await heard.sound(wait_s=0.05)
            assert await heard.silence(0, 100) == 0

    in_a_room(claim)


def test_one_who_has_none_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")

    async def claim(sound: SoundServer) -> None:
        pytest.fail(f"it started in {sound.folder}")

    with pytest.raises(SoundServerMissingError, match="apt install pulseaudio"):
        in_a_room(claim)


def test_one_that_cannot_start_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sound_server, "_DEFAULT_PA", "load-module no-such-module\n")

    async def claim(sound: SoundServer) -> None:
        pytest.fail(f"it started in {sound.folder}")

    with pytest.raises(SoundServerError, match="ended at once: "):
        in_a_room(claim)


def test_what_is_cut_off_is_heard_until_then_and_not_long_after() -> None:
    """The dates of a recording are right: not some milliseconds early, as its pieces come."""

    async def claim(sound: SoundServer) -> None:
        async with sound.record("microphone") as heard:
            saying = asyncio.create_task(sound.say(words() * 10))
            await heard.sound()
            cut_ms = time.monotonic() * 1000
            saying.cancel()
            with suppress(asyncio.CancelledError):
                await saying
            end = await heard.silence(heard.sample_at(cut_ms), 200)
            assert cut_ms - WINDOW_MS <= heard.heard_ms(end) < cut_ms + LATE_MS_MAX

    in_a_room(claim)
