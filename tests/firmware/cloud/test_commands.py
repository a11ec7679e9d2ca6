"""Guardian commands: each once, in order, answered when it holds."""

from __future__ import annotations

import base64
import logging
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from firmware.cloud.command import Command, Stamp
from firmware.cloud.commands import PATIENT_MAX, ROWS_MAX, Commands
from firmware.cloud.guardian_key import GuardianKey
from firmware.cloud.in_force import InForce
from firmware.store.note import Note
from hardware.sim.clock import run_virtual
from states.effects import EFFECTS, Effect
from states.events import EVENTS, Event, check
from states.machine import Step
from tests.firmware.cloud.rows import RIGHT, row
from tests.firmware.cloud.test_command import JSON
from tests.firmware.outlets import KeptOutlet
from tests.firmware.voice.rig import Posted

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path

PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = base64.b64encode(PRIVATE.public_key().public_bytes_raw()).decode()


class Rig:
    """Commands with their neighbours; the table does nothing of itself."""

    def __init__(self, folder: Path, **changes: Any) -> None:  # noqa: ANN401 - any argument
        self.posted = Posted()
        self.outlet = KeptOutlet()
        self.volumes: list[int] = []
        self.wanted: list[Command] = []
        self.commands = Commands(
            "dev-1",
            **{
                "post": self.posted,
                "outlet": self.outlet,
                "in_force": InForce(Note(folder / "in-force.json")),
                "guardian_key": None,
                "set_volume": self.volumes.append,
                "switch": self.wanted.append,
                "toy_stamp": None,
                **changes,
            },
        )

    def receive(self, *rows: object) -> None:
        """Receive rows from the cloud."""
        self.commands.receive(list(rows))

    def acknowledge(self, command: str, outcome: str = "done") -> None:
        """As the table asks for it."""
        self.commands.effects["acknowledge"](command=command, outcome=outcome)

    def steps(self, event: str, *effects: str, command: str | None = None) -> None:
        """Let the loop tell of a step."""
        asked = tuple(Effect(name) for name in effects)
        self.commands.after(Step(Event(event, {"command": command}), "a", "row", "b", asked))


def with_rig(
    folder: Path,
    test: Callable[[Rig], Awaitable[None]],
    **changes: Any,  # noqa: ANN401 - any argument
) -> Rig:
    """Run a test with commands that were started; everything is durable when it is over."""

    async def main() -> Rig:
        rig = Rig(folder, **changes)
        await rig.commands.start()
        await test(rig)
        await rig.commands.close()
        return rig

    return run_virtual(main())


def test_every_kind_is_posted_in_the_words_of_the_vocabulary(tmp_path: Path) -> None:
    """With exactly the fields of its event; its effects are in the vocabulary too."""

    async def test(rig: Rig) -> None:
        rig.receive(*(row(kind, f"c-{kind}", float(at)) for at, kind in enumerate(RIGHT)))
        assert {name for name, _ in rig.posted} >= {"lock", "unlock", "say", "erase"}
        for name, fields in rig.posted:
            assert check(Event(name, fields)) is EVENTS[name]
        assert [command.toy_id for command in rig.wanted] == ["toy-2"]
        assert len(rig.posted) + 1 == len(RIGHT)
        assert rig.outlet.puts == []
        assert set(rig.commands.effects) <= set(EFFECTS)

    with_rig(tmp_path, test)


def test_they_are_posted_in_the_order_in_which_they_were_issued(tmp_path: Path) -> None:
    """Whatever order they come in; of one moment, in that of their ids."""

    async def test(rig: Rig) -> None:
        rig.receive(row("stop", "b", 2.0), row("lock", "z", 1.0), row("mute", "a", 2.0))
        assert rig.posted.names == ["lock", "mute", "stop"]

    with_rig(tmp_path, test)


def test_each_is_posted_once(tmp_path: Path) -> None:
    """However often the cloud tells of it: while it is under way, and after it was answered."""

    async def test(rig: Rig) -> None:
        for _ in range(3):
            rig.receive(row("stop"), row("stop"))
        assert rig.posted == [("stop", {"command": "c1"})]
        rig.acknowledge("c1", "already")
        rig.acknowledge("c1", "done")
        for _ in range(3):
            rig.receive(row("stop"))
        assert rig.posted == [("stop", {"command": "c1"})]
        (record,) = rig.outlet.puts
        assert record.function == "devices:ackCommand"
        assert record.arguments == {"commandId": "c1", "outcome": "already"}
        assert record.urgent
        assert rig.outlet.knows("ack-c1")

    with_rig(tmp_path, test)


def test_an_answer_outlives_a_restart_with_its_outlet(tmp_path: Path) -> None:
    """What was answered before is not done again, though the cloud has not heard the answer yet."""
    outlet = KeptOutlet()
    outlet.put("devices:ackCommand", {}, urgent=True, record_id="ack-c1")

    async def test(rig: Rig) -> None:
        rig.receive(row("lock"))
        assert rig.posted == []

    with_rig(tmp_path, test, outlet=outlet)


def test_what_cannot_be_done_is_answered(tmp_path: Path) -> None:
    """An unknown kind, and a known one without what it needs; the rest is taken all the same."""

    async def test(rig: Rig) -> None:
        rig.receive(row("dance", "c1"), row("say", "c2", text=7), row("stop", "c3"), "no row")
        assert rig.outlet.answers == [
            ("c1", "unsupported"),
            ("c2", "failed", {"reason": "malformed"}),
        ]
        assert rig.posted == [("stop", {"command": "c3"})]
        assert rig.commands.malformed == 1

    with_rig(tmp_path, test)


@pytest.mark.parametrize("value", [None, {}, "rows", 7.0, {"0": row("lock")}])
def test_what_is_no_list_is_counted_and_left(
    tmp_path: Path, value: object, caplog: pytest.LogCaptureFixture
) -> None:
    """Said once."""

    async def test(rig: Rig) -> None:
        for _ in range(3):
            rig.commands.receive(value)
        assert rig.commands.malformed == 3
        assert rig.posted == []

    with_rig(tmp_path, test)
    assert len(caplog.records) == 1


def test_no_more_rows_are_looked_at_than_agreed(tmp_path: Path) -> None:
    """The oldest come first, and what is answered makes room."""

    async def test(rig: Rig) -> None:
        rig.receive(*(row("stop", f"c{n}", float(n)) for n in range(ROWS_MAX + 50)))
        assert len(rig.posted) == ROWS_MAX

    with_rig(tmp_path, test)


def test_an_older_word_than_the_one_in_force_is_superseded(tmp_path: Path) -> None:
    """Within its family: mute and unmute, volume, toy."""

    async def test(rig: Rig) -> None:
        rig.receive(row("mute", "c5", 5.0), row("volume", "c6", 6.0), row("switchToy", "c7", 7.0))
        taken = list(rig.posted)
        rig.receive(row("unmute", "c1", 1.0), row("volume", "c2", 2.0), row("switchToy", "c3", 3.0))
        assert rig.outlet.answers == [(f"c{n}", "superseded") for n in (1, 2, 3)]
        assert rig.posted == taken
        assert len(rig.wanted) == 1
        rig.receive(row("unmute", "c8", 8.0))
        assert rig.posted[-1] == ("unmute", {"command": "c8"})

    with_rig(tmp_path, test)


@pytest.mark.parametrize("kind", ["lock", "pause", "release", "stop", "say", "erase", "export"])
def test_what_locks_and_releases_is_never_superseded(tmp_path: Path, kind: str) -> None:
    """Only ids count there: the cloud's clock proves nothing."""

    async def test(rig: Rig) -> None:
        rig.receive(row("lock", "c9", 9.0), row("release", "c8", 8.0), row(kind, "c7", 7.0))
        rig.receive(row(kind, "c1", 1.0))
        assert len(rig.posted) == 4
        assert rig.outlet.answers == []

    with_rig(tmp_path, test)


def test_the_first_toy_was_chosen_by_a_command_too(tmp_path: Path) -> None:
    """Which an older one does not undo after a restart."""

    async def test(rig: Rig) -> None:
        rig.receive(row("switchToy", "c1", 4.0))
        assert rig.outlet.answers == [("c1", "superseded")]
        rig.receive(row("switchToy", "c2", 6.0))
        assert len(rig.wanted) == 1

    with_rig(tmp_path, test, toy_stamp=Stamp(5.0, "c0"))


def test_mute_and_volume_are_durable_before_they_are_answered(tmp_path: Path) -> None:
    """A guardian who was told "done" finds it so after a power cut."""

    async def test(rig: Rig) -> None:
        rig.receive(row("mute", "c1", 1.0), row("volume", "c2", 2.0))
        rig.acknowledge("c1")
        rig.commands.effects["set_volume"](command="c2")
        rig.acknowledge("c2")
        assert rig.volumes == [35]
        assert rig.outlet.answers == []
        rig.receive(row("mute", "c1", 1.0))  # still under way
        await rig.outlet.until("c2", "done")
        assert rig.outlet.answers == [("c1", "done"), ("c2", "done")]

    rig = with_rig(tmp_path, test)
    assert rig.posted.names == ["mute", "volume"]

    async def restarted(rig: Rig) -> None:
        assert rig.volumes == [35]
        assert rig.posted == [("mute", {"command": "c1"})]
        rig.acknowledge("c1")  # as the table does, of what it takes for a new command
        assert rig.outlet.answers == []
        rig.receive(row("unmute", "c0", 0.5), row("volume", "c9", 1.5))
        assert rig.outlet.answers == [("c0", "superseded"), ("c9", "superseded")]

    with_rig(tmp_path, restarted)


def test_a_mute_that_was_not_answered_before_the_power_cut_is_answered_after(
    tmp_path: Path,
) -> None:
    """Its row is still open at the cloud."""

    async def test(rig: Rig) -> None:
        rig.receive(row("mute"))
        rig.acknowledge("c1")
        await rig.outlet.until("c1", "done")

    with_rig(tmp_path, test)

    async def restarted(rig: Rig) -> None:
        rig.acknowledge("c1")
        rig.receive(row("mute"))
        assert rig.posted == [("mute", {"command": "c1"})] * 2
        rig.acknowledge("c1")
        await rig.outlet.until("c1", "done")

    with_rig(tmp_path, restarted)


def test_an_unmute_lasts_too(tmp_path: Path) -> None:
    """The last word is the one that counts."""

    async def test(rig: Rig) -> None:
        for command, kind in enumerate(("mute", "unmute")):
            rig.receive(row(kind, f"c{command}", float(command)))
            rig.acknowledge(f"c{command}")
        await rig.outlet.until("c1", "done")

    with_rig(tmp_path, test)

    async def restarted(rig: Rig) -> None:
        assert rig.posted == []

    with_rig(tmp_path, restarted)


def test_what_cannot_be_made_durable_is_answered_as_it_is(tmp_path: Path) -> None:
    """It holds, and would not after a restart."""
    (tmp_path / "in-force.json.new").mkdir()

    async def test(rig: Rig) -> None:
        rig.receive(row("mute"))
        rig.acknowledge("c1")
        await rig.outlet.until("c1", "done", {"durable": False})

    with_rig(tmp_path, test)


def test_a_damaged_file_mutes_the_toy_until_its_guardian_speaks(tmp_path: Path) -> None:
    """Privacy first: it may have been muted."""
    (tmp_path / "in-force.json").write_bytes(b"damaged")

    async def test(rig: Rig) -> None:
        assert rig.posted.names == ["mute"]
        rig.acknowledge(str(rig.posted[0][1]["command"]))
        assert rig.outlet.puts == []
        rig.receive(row("unmute", "c1", 0.0))
        assert rig.posted.names == ["mute", "unmute"]

    with_rig(tmp_path, test)


def test_words_are_there_while_their_command_is_under_way(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Then they are gone; and they are in no log."""
    caplog.set_level(logging.DEBUG)

    async def test(rig: Rig) -> None:
        rig.receive(row("say", "c1", text="canary words"), row("extend", "c2"), row("stop", "c3"))
        assert rig.commands.words_of("c1") == "canary words"
        assert rig.commands.minutes_of("c2") == 15
        for command in ("c2", "c3", "none"):
            assert rig.commands.words_of(command) is None
        for command in ("c1", "c3", "none"):
            assert rig.commands.minutes_of(command) is None
        rig.acknowledge("c1")
        rig.acknowledge("c2", "unsupported")
        assert rig.commands.words_of("c1") is None
        assert rig.commands.minutes_of("c2") is None
        assert "canary words" not in [command.words for command in rig.commands._open]

    with_rig(tmp_path, test)
    assert "canary" not in caplog.text


def test_what_the_loop_forgets_is_answered(tmp_path: Path) -> None:
    """What waited was meant for who the toy no longer is; the erase that made it so was not."""

    async def test(rig: Rig) -> None:
        rig.receive(row("say", "c1"), row("reboot", "c2"), row("erase", "c3"))
        rig.steps("say", "defer", command="c1")
        rig.steps("reboot", "defer", command="c2")
        rig.steps("configured", "defer")
        rig.steps("reply_played", "recall")
        rig.steps("reboot", "defer", command="c2")
        rig.steps("erase", "forget", "erase", command="c3")
        assert rig.outlet.answers == [("c2", "superseded")]
        rig.steps("erased", "forget")
        assert rig.outlet.answers == [("c2", "superseded")]

    with_rig(tmp_path, test)


def test_no_more_wait_for_the_end_of_a_turn_than_the_loop_keeps(tmp_path: Path) -> None:
    """Others are taken when one of them is answered; what is urgent overtakes them."""

    async def test(rig: Rig) -> None:
        said = [row("say", f"s{n:02}", float(n)) for n in range(PATIENT_MAX + 2)]
        rig.receive(*said, row("lock", "z", 99.0))
        assert rig.posted.names == ["say"] * PATIENT_MAX + ["lock"]
        rig.acknowledge("s00")
        assert rig.posted[-1] == ("say", {"command": f"s{PATIENT_MAX:02}"})
        rig.receive()
        rig.acknowledge("s01")  # the guardian has taken the last one back
        assert rig.posted[-1] == ("say", {"command": f"s{PATIENT_MAX:02}"})

    with_rig(tmp_path, test)


def signature(device: str = "dev-1", lock: str = "boot1") -> str:
    """Return the guardian's signature of a release."""
    return base64.b64encode(PRIVATE.sign(f"pommai-release\n{device}\n{lock}".encode())).decode()


def test_without_an_enrolled_key_a_release_needs_no_signature(tmp_path: Path) -> None:
    """And one that it has is not looked at."""

    async def test(rig: Rig) -> None:
        rig.receive(row("release", "c1"), row("release", "c2", signature="A" * 86 + "=="))
        assert [fields["via"] for _, fields in rig.posted] == ["subscription"] * 2

    with_rig(tmp_path, test)


def test_with_one_only_a_signed_release_counts(tmp_path: Path) -> None:
    """Any other is posted so that the table refuses it, and reported once."""

    async def test(rig: Rig) -> None:
        wrong = [
            row("release", "c1"),
            row("release", "c2", signature=signature(lock="boot2")),
            row("release", "c3", signature=signature(device="dev-2")),
        ]
        for _ in range(2):
            rig.receive(*wrong, row("release", "c4", signature=signature()))
        assert [fields["via"] for _, fields in rig.posted] == ["unverified"] * 3 + ["subscription"]
        assert {fields["lock_id"] for _, fields in rig.posted} == {"boot1"}
        assert len(rig.outlet.puts) == 3
        report = rig.outlet.puts[0]
        assert report.function == "guardian:reportEvent"
        assert report.arguments == {
            "eventType": "release_unsigned",
            "details": {"lockId": "boot1", "commandId": "c1"},
            "isUrgent": True,
        }
        assert report.urgent
        assert rig.outlet.knows("release-unsigned-c1")

    with_rig(tmp_path, test, guardian_key=GuardianKey(PUBLIC))


@given(rows=st.lists(st.one_of(
    JSON,
    st.builds(lambda kind, more: row(kind, **more), st.sampled_from(sorted(RIGHT)),
              st.dictionaries(st.sampled_from(["commandId", "issuedAt", "text", "percent",
                                               "lockId", "durationS", "toyId"]), JSON)),
), max_size=5))  # fmt: skip
def test_nothing_that_the_cloud_sends_raises(
    tmp_path_factory: pytest.TempPathFactory, rows: list[object]
) -> None:
    """Whatever is posted of it is in the vocabulary."""
    rig = Rig(tmp_path_factory.getbasetemp())
    rig.commands.receive(rows)
    for name, fields in rig.posted:
        assert check(Event(name, fields)) is EVENTS[name]


def test_an_answer_that_no_record_can_hold_is_given_without_its_details(tmp_path: Path) -> None:
    """As failed, since the details were what was asked for; it is not carried out once more."""

    class Narrow(KeptOutlet):
        """An outlet that refuses what is long, as the outbox does."""

        def put(self, function: str, arguments: Mapping[str, object], **more: Any) -> None:  # noqa: ANN401 - as it is
            if len(str(arguments)) < 200:
                super().put(function, arguments, **more)

    async def test(rig: Rig) -> None:
        rig.receive(row("export"))
        rig.commands.acknowledge("c1", "done", {"export": "x" * 200})
        assert outlet.answers == [("c1", "failed")]
        rig.receive(row("export"))
        assert rig.posted.names == ["export"]

    outlet = Narrow()
    with_rig(tmp_path, test, outlet=outlet)
