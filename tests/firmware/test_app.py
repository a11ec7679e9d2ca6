"""The whole toy, composed: everything is performed, and it starts and ends whatever is missing."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from firmware import app, backend, wall_clock
from firmware.app import Toy
from firmware.cloud.cloud import Cloud
from firmware.cloud.errors import AddressError as CloudAddressError
from firmware.cloud.settings import CloudSettings
from firmware.errors import BoardError, JournalFileError, StoreError
from firmware.settings import IdentitySettings, Settings, SoundSettings
from firmware.store.lock import COPIES, LockStore
from firmware.store.record import METRICS_FUNCTION
from firmware.stream.errors import AddressError as StreamAddressError
from firmware.stream.errors import CredentialError
from firmware.stream.settings import StreamSettings
from firmware.stream.stream import Stream
from firmware.unbuilt import UNBUILT
from firmware.voice.cues import SOUNDS, Cues, sentence_file
from hardware.board import PROFILES
from hardware.button import Button
from hardware.errors import MisuseError
from hardware.sim.board import SimBoard
from hardware.sim.clock import run_virtual
from hardware.sim.vault import VirtualVault
from simulator.watch import Watch
from states import fingerprint
from states.effects import EFFECTS
from states.journal import read
from states.replay import replay
from tests.firmware.composed import Composed, settings
from tests.hardware.sound import Plugged, Room


def journal_lines(path: Path) -> list[str]:
    """Return the lines of a journal."""
    return path.read_text(encoding="ascii").splitlines(keepends=True)


def test_every_effect_of_the_vocabulary_is_performed_or_named_as_unbuilt(tmp_path: Path) -> None:
    """What the table asks for is never dropped silently, and nothing built is called unbuilt."""

    async def main() -> None:
        toy = Toy(settings(tmp_path), VirtualVault("secret"))
        assert toy.loop.unperformed() == ()
        performers = {
            name: type(part).__name__
            for part in toy._performers()
            for name in part.effects
            if name in UNBUILT
        }
        assert set(performers.values()) == {"Unbuilt"}
        assert performers.keys() == UNBUILT.keys() <= EFFECTS.keys()
        for name in UNBUILT:
            assert len(toy.loop._performs[name]) == 1, f"{name} is built and unbuilt"
        toy.start()
        await toy.close()

    run_virtual(main())


def test_without_identity_only_cloud_and_stream_are_missing(tmp_path: Path) -> None:
    """And the machine does not ask for them: there is nobody to authenticate, and no turn."""

    async def main() -> None:
        owned = Toy(settings(tmp_path), VirtualVault("secret"))
        assert owned.backend is not None
        theirs = {*owned.backend.cloud.effects, *owned.backend.stream.effects}
        async with Composed(tmp_path, has_identity=False) as unowned:
            assert set(unowned.toy.loop.unperformed()) <= theirs
            await unowned.arrives_at("boot.unprovisioned")
            for _ in range(2):
                unowned.toy.board.tap(100)
                await asyncio.sleep(3)
            asked = {effect.name for step in unowned.steps for effect in step.effects}
            assert not asked & set(unowned.toy.loop.unperformed())
        owned.start()
        await owned.close()

    run_virtual(main())


def test_a_sound_that_was_damaged_is_reported_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The toy works all the same."""
    damaged = shutil.copytree(SOUNDS, tmp_path / "sounds")
    (damaged / sentence_file("locked")).unlink()
    monkeypatch.setattr(app, "packaged", lambda: Cues(damaged))

    async def main() -> None:
        async with Composed(tmp_path) as toy:
            await toy.arrives_at("offline.ready")
            (tested,) = (step for step in toy.steps if step.event.name == "parts_tested")
            assert tested.event.fields == {"failed": "sounds"}
            (report,) = (effect for effect in tested.effects if effect.name == "report")
            assert report.fields["detail"] == "sounds"

    run_virtual(main())


def test_a_toy_without_identity_waits_to_be_set_up(tmp_path: Path) -> None:
    """It blinks yellow, and says in the log how it is set up."""

    async def main() -> None:
        async with Composed(tmp_path, has_identity=False) as unowned:
            await unowned.arrives_at("boot.unprovisioned")
            await asyncio.sleep(60)
            assert unowned.leaf == "boot.unprovisioned"
            assert unowned.pattern == "yellow-blink"

    run_virtual(main())


def test_a_toy_whose_cloud_is_down_is_ready_offline_after_20_s_and_goes_on_trying(
    tmp_path: Path,
) -> None:
    """Its button is heard all the while, and the microphone stays closed: consent is unknown."""

    async def main() -> None:
        async with Composed(tmp_path) as toy:
            arrived = await toy.arrives_at("offline.ready")
            assert 20_000 <= arrived.event.at_ms - toy.steps[0].event.at_ms < 21_000
            failures = toy.rows.count("tokens.failed")
            assert failures > 1
            toy.toy.board.tap(100)
            await asyncio.sleep(180)
            assert toy.rows.count("tokens.failed") > failures
            assert "denied.muted" in toy.rows
            assert toy.toy.microphone.history == []
            assert not toy.toy.loop.dropped
            assert not toy.toy.loop.failures

    run_virtual(main())
    journal = read(journal_lines(tmp_path / app.JOURNAL))
    assert replay(journal).difference is None
    assert journal.header.table == fingerprint.table()


def test_a_button_that_is_down_at_the_start_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gestures of set-up begin with it."""

    class HeldBoard(SimBoard):
        """A board whose button somebody holds already when the firmware opens it."""

        def open_button(
            self, on_press: Callable[[int], None], on_release: Callable[[int], None]
        ) -> Button:
            self.press()
            return super().open_button(on_press, on_release)

    async def main() -> None:
        async with Composed(tmp_path) as toy:
            await toy.arrives_at("boot.held")
            assert [step.event.name for step in toy.steps[:2]] == ["started", "down_at_start"]

    monkeypatch.setattr(app, "SimBoard", HeldBoard)
    run_virtual(main())


def test_the_first_start_in_a_folder_founds_the_record(tmp_path: Path) -> None:
    """With an identity or without, before anything else is written there."""
    for has_identity in (True, False):
        data = tmp_path / str(has_identity) / "data"

        async def main(data: Path = data, *, has_identity: bool = has_identity) -> None:
            async with Composed(data, has_identity=has_identity) as toy:
                assert LockStore(data).read().verdict == "free"
                read_records = await toy.fires("boot.read" if has_identity else "boot.unowned")
                assert read_records.event.fields["lock"] == "free"

        run_virtual(main())


def test_a_record_that_is_missing_where_a_toy_has_lived_locks_it(tmp_path: Path) -> None:
    """Whoever removes the files does not free the toy."""

    async def lives(leaf: str) -> None:
        async with Composed(tmp_path) as toy:
            await toy.arrives_at(leaf)

    run_virtual(lives("auth"))
    for name in COPIES:
        (tmp_path / name).unlink()
    run_virtual(lives("safety_lockout.lock"))


def test_a_toy_that_was_stopped_is_found_stopped_by_the_next_start(tmp_path: Path) -> None:
    """Three presses, and as soon as the lock is written the disk is as it will be found."""
    left = tmp_path / "left"

    async def stopped() -> None:
        async with Composed(tmp_path / "data") as toy:
            await toy.arrives_at("auth")
            for _ in range(3):
                toy.toy.board.tap(100)
                await asyncio.sleep(0.25)
            await toy.arrives_at("safety_lockout.pause")
            await toy.fires("lock.written")
            shutil.copytree(tmp_path / "data", left)

    async def found() -> None:
        async with Composed(left) as toy:
            await toy.fires("boot.paused")
            assert toy.pattern == "red-amber"
            await asyncio.sleep(301)
            assert "lock.elapsed" in toy.rows
            assert LockStore(left).read().verdict == "free"

    run_virtual(stopped())
    run_virtual(found())


def test_a_board_that_cannot_be_driven_is_refused(tmp_path: Path) -> None:
    """With what to write instead; nothing is made on disk."""

    async def main() -> None:
        with pytest.raises(BoardError, match=r"device.board is 'rgb': .* write sim"):
            Toy(settings(tmp_path / "data", board="rgb"), None)

    run_virtual(main())
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("section", "kind"),
    [
        ({"cloud": CloudSettings(url="")}, CloudAddressError),
        ({"cloud": CloudSettings(url="http://far.example")}, CloudAddressError),
        ({"stream": StreamSettings(url="")}, StreamAddressError),
        ({"stream": StreamSettings(url="ws://far.example")}, StreamAddressError),
        ({"identity": IdentitySettings(device_id="a b", toy_id="t")}, CredentialError),
    ],
)
def test_an_address_that_cannot_be_used_leaves_the_disk_alone(
    tmp_path: Path, section: dict[str, object], kind: type[Exception]
) -> None:
    """A service that is restarted again and again does not push its old journals out."""

    async def main() -> None:
        given = {**vars(settings(tmp_path / "data")), **section}
        with pytest.raises(kind):
            Toy(Settings(**given), VirtualVault("secret"))

    run_virtual(main())
    assert not (tmp_path / "data").exists()


def test_a_data_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    """Setting, folder, reason and what to do, in one line."""
    (tmp_path / "file").touch()
    data = tmp_path / "file" / "data"

    async def main() -> None:
        toy = Toy(settings(data), None)
        with pytest.raises(StoreError) as caught:
            toy.start()
        assert str(caught.value) == (
            f"device.data_dir {data}: cannot be used: Not a directory; "
            "give a folder that may be written"
        )
        await toy.close()

    run_virtual(main())


def test_a_journal_that_cannot_be_begun_keeps_the_toy_from_starting(tmp_path: Path) -> None:
    """Nobody could say later what it did."""
    (tmp_path / "file").touch()

    async def main() -> None:
        toy = Toy(settings(tmp_path / "data"), None, tmp_path / "file" / "journal.jsonl")
        with pytest.raises(JournalFileError, match="cannot be written"):
            toy.start()
        await toy.close()

    run_virtual(main())


def test_a_journal_that_fails_later_stops_nothing(tmp_path: Path) -> None:
    """The button, the lock and the end work all the same."""

    async def main() -> None:
        async with Composed(tmp_path / "data") as toy:
            await toy.arrives_at("auth")
            assert toy.toy.backend is not None
            assert toy.toy.backend._tidying is not None
            await toy.toy.backend._tidying
            toy.toy.journal.close()
            (tmp_path / "data").rename(tmp_path / "elsewhere")
            (tmp_path / "data").touch()
            toy.toy.loop.post("emergency_stop", command=None)
            await asyncio.sleep(1)
            assert toy.leaf == "safety_lockout.lock"
            assert toy.pattern == "red-amber-alarm"
            (tmp_path / "data").unlink()
            (tmp_path / "elsewhere").rename(tmp_path / "data")
            await asyncio.sleep(6)
            assert toy.pattern == "red-amber"
            toy.toy.loop.post("shutdown")
            async with asyncio.timeout(1):
                await toy.toy.stopped.wait()
        assert LockStore(tmp_path / "data").read().verdict == "lock"

    run_virtual(main())


def test_closing_does_not_wait_for_ever_for_what_is_far_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is near is closed all the same: board, journal, records."""

    async def hang(_: Stream | Cloud) -> None:
        await asyncio.Event().wait()

    async def main() -> None:
        toy = Composed(tmp_path)
        await toy.__aenter__()
        await toy.arrives_at("auth")
        began_s = asyncio.get_running_loop().time()
        with monkeypatch.context() as patched:
            patched.setattr(Stream, "close", hang)
            await toy.toy.close()
        assert asyncio.get_running_loop().time() - began_s == backend.CLOSE_TIMEOUT_S
        assert not toy.toy.microphone.is_open

    run_virtual(main())


@pytest.mark.parametrize("delay_ms", [0, 1, 5, 100])
def test_whatever_is_still_to_happen_when_it_closes_does_not_happen(
    tmp_path: Path, delay_ms: int, caplog: pytest.LogCaptureFixture
) -> None:
    """A toy that is closed in the middle of its start performs nothing with what is closed."""

    async def main() -> None:
        toy = Composed(tmp_path)
        await toy.__aenter__()
        await asyncio.sleep(delay_ms / 1000)
        toy.toy.loop.post("press")
        await toy.toy.close()
        taken = len(toy.steps)
        toy.toy.loop.post("press")
        await asyncio.sleep(60)
        assert len(toy.steps) == taken
        assert not toy.toy.loop.failures
        assert not toy.toy.journal.failed

    run_virtual(main())
    assert "ERROR" not in {log.levelname for log in caplog.records}


def test_two_starts_are_told_apart_by_their_events_ids(tmp_path: Path) -> None:
    """The id of an event that locks becomes the id that a release must name."""

    async def main() -> str:
        async with Composed(tmp_path) as toy:
            return (await toy.fires("boot.starts")).event.id

    first, second = run_virtual(main()), run_virtual(main())
    assert first != second
    assert first.isalnum()


@pytest.mark.parametrize("trace", app.TRACES)
def test_whatever_a_toy_leaves_behind_shows_that_it_has_lived(tmp_path: Path, trace: str) -> None:
    """So a lock record that is missing beside it was removed: the toy locks."""
    (tmp_path / trace).touch()
    toy_data = tmp_path

    async def main() -> None:
        async with Composed(toy_data) as toy:
            await toy.arrives_at("safety_lockout.lock")

    run_virtual(main())


@pytest.mark.parametrize("keeps_time", [True, False])
def test_the_board_decides_whether_the_clock_is_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, keeps_time: bool
) -> None:
    """What a record says of its time goes by it."""
    monkeypatch.setattr(wall_clock, "SYNCHRONIZED", tmp_path / "synchronized")
    profile = replace(PROFILES["sim"], keeps_time=keeps_time)
    monkeypatch.setattr(app, "SimBoard", lambda clock: SimBoard(clock, profile))

    async def main() -> None:
        async with Composed(tmp_path / "data") as toy:
            assert toy.toy.backend is not None
            assert toy.toy.backend.outbox.now().clock_set == keeps_time
            (tmp_path / "synchronized").touch()
            assert toy.toy.backend.outbox.now().clock_set

    run_virtual(main())


def test_whatever_is_counted_is_told(tmp_path: Path) -> None:
    """Every total that a part keeps is among the metrics of a toy."""

    async def main() -> None:
        async with Composed(tmp_path) as toy:
            assert toy.toy.backend is not None
            await toy.arrives_at("offline.ready")
            outbox = toy.toy.backend.outbox
            toy.toy.backend._metrics.sample()
            sampling = toy.toy.backend._metrics._sampling
            assert sampling is not None
            await asyncio.wait([sampling])
            (told,) = (
                json.loads(record.arguments)["metrics"]
                for record in await outbox.head("bulk", 100)
                if record.function == METRICS_FUNCTION
            )
            assert told.keys() >= {
                *("urgentRecords", "bulkRecords", "bulkBytes"),
                *("recordsDelivered", "recordsRefused"),
                *("recordsGaveWay", "recordsSetAside", "deliveriesFailed", "conversationsLost"),
                *("speechLost", "speechGaveWay", "speechDamaged", "speechFramesLeftOut"),
                *("commandsMalformed", "configurationsMalformed", "troublesUntold"),
                *("troublesFailed", "samplesSkipped", "eventsDropped", "effectsFailed"),
                *("loopDelayMsMax", "callMsMean", "callMsMax"),
            }

    run_virtual(main())


def test_a_library_that_few_toys_need_is_not_imported_by_all() -> None:
    """That of the guardian's key: 7 MB, and a while at each start."""
    program = "import sys, firmware.app; sys.exit('cryptography' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


# -- Real sound -----------------------------------------------------------------------------------


def with_sound(data: Path, microphone: str, speaker: str) -> Settings:
    """Return the configuration of a toy with these parts."""
    return replace(settings(data), sound=SoundSettings(microphone=microphone, speaker=speaker))


def test_the_simulated_board_has_simulated_sound_unless_it_is_told_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of the two by itself; nothing of PortAudio is loaded for what is simulated."""

    async def main() -> None:
        room = Room()
        monkeypatch.setattr(app, "SoundCard", lambda *_: room.card)
        toy = Toy(settings(tmp_path), None)
        assert not toy.microphone.is_open
        assert not toy.speaker.is_open
        await toy.close()

        toy = Toy(with_sound(tmp_path, "default", "virtual"), None)
        assert not toy.speaker.is_open
        with pytest.raises(MisuseError, match="microphone is a real one"):
            toy.microphone.speak(b"")
        await toy.close()

        room = Room()
        toy = Toy(with_sound(tmp_path, "virtual", "horn"), None)
        assert not toy.microphone.is_open
        with pytest.raises(MisuseError, match="speaker is a real one"):
            toy.speaker.recording()
        await toy.close()

    run_virtual(main())


def test_a_toy_without_sound_says_so_at_its_start_and_again_when_it_has_some(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It starts all the same, deaf and mute, and needs no restart to hear."""

    async def main() -> None:
        room = Room([])
        monkeypatch.setattr(app, "SoundCard", lambda *_: room.card)
        toy = Toy(with_sound(tmp_path, "usb", "usb"), VirtualVault("secret"))
        watch = Watch()
        toy.loop.observers.append(watch)
        toy.start()
        tested = await watch.first(lambda step: step.event.name == "parts_tested", 60, since=0)
        assert tested.event.fields == {"failed": "speaker microphone"}
        assert toy.loop.core.situation.context.deaf
        toy.board.tap(100)
        await asyncio.sleep(30)
        room.devices += [Plugged("USB Mic", inputs=1), Plugged("USB Horn", outputs=2)]
        await asyncio.sleep(30)
        told = [dict(step.event.fields) for step in watch.steps if step.row == "part.recovered"]
        assert sorted(map(str, told)) == ["{'part': 'microphone'}", "{'part': 'speaker'}"]
        assert not toy.loop.core.situation.context.deaf
        assert "part.failed" not in [step.row for step in watch.steps]
        assert not toy.loop.failures
        await toy.close()
        assert room.history[-1] == "end"

    run_virtual(main())


def test_parts_that_work_pass_the_self_test_without_a_sound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The microphone is not open for a moment, and not one sample is taken in."""

    async def main() -> None:
        room = Room()
        monkeypatch.setattr(app, "SoundCard", lambda *_: room.card)
        toy = Toy(with_sound(tmp_path, "usb", "usb"), VirtualVault("secret"))
        watch = Watch()
        toy.loop.observers.append(watch)
        assert toy.backend is not None
        assert toy.backend._metrics._gauges.keys() >= {
            *("microphoneGlitches", "microphoneFailures", "microphoneFramesDropped"),
            *("microphoneLapses", "speakerGlitches", "speakerFailures"),
        }
        assert toy.backend._metrics._gauges["speakerGlitches"]() == 0
        toy.start()
        tested = await watch.first(lambda step: step.event.name == "parts_tested", 60, since=0)
        assert tested.event.fields == {"failed": ""}
        assert "start input" not in room.history
        await asyncio.sleep(30)
        assert room.open_sides == []
        toy.board.tap(100)
        await asyncio.sleep(0.3)
        assert room.open_sides == ["output"], "a cue"
        room.unplug("USB Horn")
        await asyncio.sleep(10)
        failed = [dict(step.event.fields) for step in watch.steps if step.row == "part.failed"]
        assert failed == [{"part": "speaker"}]
        await toy.close()

    run_virtual(main())
