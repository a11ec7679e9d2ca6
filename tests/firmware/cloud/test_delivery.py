"""Delivery: order, once each, and what follows each kind of failure."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest

from firmware.cloud.credentials import Tokens
from firmware.cloud.delivery import (
    BULK_PUT_OFF_MAX,
    BULK_TRIES_MAX,
    HELD_TRIES,
    NEVER_TAKEN,
    URGENT_PUT_OFF_MAX,
    URGENT_TRIES_MAX,
    WAKE_SPREAD_MS,
    Delivery,
)
from firmware.cloud.errors import (
    ApplicationError,
    AuthenticationError,
    CloudFaultError,
    DeadlineError,
    MalformedError,
    NetworkError,
    ServerError,
    UploadRefusedError,
)
from firmware.store.outbox import Class, Outbox
from hardware.clock import Clock
from hardware.sim.clock import run_virtual
from tests.firmware.cloud.examples import settings, tokens
from tests.firmware.cloud.ledger import Audio, Grants, Ledger, Try
from tests.firmware.store.shelf import BOOT, World, opened, put

CLASSES: tuple[Class, ...] = ("urgent", "bulk")


def delivery(
    outbox: Outbox,
    ledger: Ledger,
    grants: Grants | None = None,
    audio: Audio | None = None,
    *,
    seed: int = 1,
) -> Delivery:
    """Return a delivery that is not started."""
    grants = grants or Grants(tokens())
    return Delivery(
        settings(),
        outbox,
        ledger,
        device_id="dev-1",
        tokens=lambda: grants.present,
        on_rejected=grants.reject,
        uploader=audio or Audio(),
        random=Random(seed),  # noqa: S311 - chance that is the same each time
    )


@asynccontextmanager
async def delivering(
    outbox: Outbox,
    ledger: Ledger,
    grants: Grants | None = None,
    audio: Audio | None = None,
) -> AsyncIterator[Delivery]:
    """Run a delivery."""
    running = delivery(outbox, ledger, grants, audio)
    running.start()
    try:
        yield running
    finally:
        await running.close()


def put_metrics(outbox: Outbox, name: str, **figures: Any) -> None:  # noqa: ANN401 - any number
    """Put a record of metrics."""
    outbox.put("metrics:record", {"metrics": figures}, urgent=False, record_id=name)


async def drained(outbox: Outbox) -> None:
    """Wait until nothing waits."""
    while not (outbox.is_empty("urgent") and outbox.is_empty("bulk")):
        await outbox.emptied("urgent")
        await outbox.emptied("bulk")


def test_a_thousand_records_put_offline_arrive_in_order_and_once_each_after_a_restart(
    tmp_path: Path,
) -> None:
    """Of both classes; half of them before the restart."""
    names = {of: [f"{of}-{number:03}" for number in range(500)] for of in CLASSES}

    async def main() -> None:
        ledger = Ledger(Clock())
        ledger.is_reachable = False
        for half in (slice(0, 250), slice(250, 500)):
            async with opened(tmp_path) as outbox, delivering(outbox, ledger):
                for urgent, bulk in zip(names["urgent"][half], names["bulk"][half], strict=True):
                    put(outbox, urgent)
                    put(outbox, bulk, urgent=False)
                await ledger.tried(len(ledger.tries) + 2)
        async with opened(tmp_path, boot_id="after a power cut") as outbox:
            ledger.is_reachable = True
            async with delivering(outbox, ledger):
                await drained(outbox)
        assert ledger.ids == [*names["urgent"], *names["bulk"]]
        async with opened(tmp_path) as outbox:
            assert outbox.is_empty("urgent")
            assert outbox.is_empty("bulk")

    run_virtual(main())


def test_a_record_arrives_with_all_that_it_must_carry(tmp_path: Path) -> None:
    """Each function's arguments, and what delivery adds."""

    async def main() -> None:
        ledger = Ledger(Clock())
        async with opened(tmp_path) as outbox, delivering(outbox, ledger):
            outbox.put(
                "devices:ackCommand",
                {"commandId": "c1", "outcome": "done"},
                urgent=True,
                record_id="ack-c1",
            )
            outbox.put("logs:create", {"level": "error"}, urgent=False, record_id="log-1")
            await drained(outbox)
        common = {"deviceId": "dev-1", "timestamp": "2026-11-18T11:06:40.000Z"}
        assert [made.arguments for made in ledger.tries] == [
            {**common, "recordId": "ack-c1", "commandId": "c1", "outcome": "done"},
            {**common, "recordId": "log-1", "toyId": "toy-1", "level": "error"},
        ]

    run_virtual(main())


def test_a_clock_that_was_not_set_is_made_up_for_by_the_records_age(tmp_path: Path) -> None:
    """As long as the computer has not been started anew."""
    world = World()
    world.is_clock_set, world.wall_s = False, 5.0

    async def main() -> None:
        ledger = Ledger(Clock())
        async with opened(tmp_path, world) as outbox:
            put(outbox, "a")
            put(outbox, "b")
            await asyncio.sleep(90)
            world.is_clock_set, world.wall_s = True, 1_795_000_090.0
            async with delivering(outbox, ledger):
                await ledger.until(1)
        async with opened(tmp_path, world, boot_id="boot-two") as outbox:
            outbox.finish("urgent", "a")
            async with delivering(outbox, ledger):
                await drained(outbox)
        told = [
            (row["recordId"], row["timestamp"], row["clockSet"], row["ageMs"])
            for row in (made.arguments for made in ledger.tries)
        ]
        assert told[0] == ("a", "2026-11-18T11:06:40.000Z", False, 90_000)
        assert told[-1] == ("b", "1970-01-01T00:00:05.000Z", False, None)

    run_virtual(main())


def test_bulk_begins_nothing_while_anything_urgent_waits(tmp_path: Path) -> None:
    """Whichever was put first; and each class makes one call at a time."""

    async def main() -> None:
        ledger = Ledger(Clock(), takes_ms=100)
        async with opened(tmp_path) as outbox:
            for number in range(3):
                put(outbox, f"b{number}", urgent=False)
            for number in range(3):
                put(outbox, f"u{number}")
            async with delivering(outbox, ledger):
                await drained(outbox)
        assert ledger.ids == ["u0", "u1", "u2", "b0", "b1", "b2"]
        assert ledger.at_once_max == 1

    run_virtual(main())


def test_something_urgent_does_not_wait_for_a_slow_bulk_call(tmp_path: Path) -> None:
    """It goes beside it."""

    async def main() -> None:
        ledger = Ledger(Clock(), takes_ms=1_000)
        async with opened(tmp_path) as outbox, delivering(outbox, ledger):
            put(outbox, "b0", urgent=False)
            put(outbox, "b1", urgent=False)
            await ledger.tried(1)
            put(outbox, "u0")
            await drained(outbox)
        assert [(made.arguments["recordId"], made.at_ms) for made in ledger.tries] == [
            ("b0", 0),
            ("u0", 0),
            ("b1", 1_000),
        ]

    run_virtual(main())


@pytest.mark.parametrize("of", CLASSES)
def test_an_answer_that_is_lost_leads_to_one_row(tmp_path: Path, of: Class) -> None:
    """Also if the device is restarted before it tries again."""

    async def main() -> None:
        ledger = Ledger(Clock())
        ledger.faults.extend(["drop", "drop", None, "drop"])
        async with opened(tmp_path) as outbox, delivering(outbox, ledger):
            put(outbox, "a", urgent=of == "urgent")
            await ledger.tried(1)
        async with opened(tmp_path) as outbox, delivering(outbox, ledger):
            put(outbox, "b", urgent=of == "urgent")
            await drained(outbox)
        assert ledger.ids == ["a", "b"]
        assert len(ledger.tries) >= 4

    run_virtual(main())


def test_metrics_are_joined_in_order_up_to_the_next_other_record(tmp_path: Path) -> None:
    """Sixty at once, each with its own id and time."""

    async def main() -> None:
        ledger = Ledger(Clock())
        async with opened(tmp_path) as outbox:
            for number in range(70):
                put_metrics(outbox, f"m{number:02}", cpu=number)
            put(outbox, "log", urgent=False)
            put_metrics(outbox, "last", cpu=1)
            async with delivering(outbox, ledger):
                await drained(outbox)
        assert [made.function for made in ledger.tries] == [
            "metrics:batchRecord",
            "metrics:batchRecord",
            "guardian:reportEvent",
            "metrics:record",
        ]
        assert ledger.ids == [*(f"m{number:02}" for number in range(70)), "log", "last"]
        batch = ledger.tries[0].arguments
        assert (batch["deviceId"], batch["toyId"], len(batch["metrics"])) == ("dev-1", "toy-1", 60)
        assert batch["metrics"][3] == {
            "recordId": "m03",
            "timestamp": "2026-11-18T11:06:40.000Z",
            "metrics": {"cpu": 3},
        }

    run_virtual(main())


def test_metrics_of_another_toy_say_so(tmp_path: Path) -> None:
    """The batch is of the toy of its first record."""
    world = World()

    async def main() -> None:
        ledger = Ledger(Clock())
        async with opened(tmp_path, world) as outbox:
            put_metrics(outbox, "m1", cpu=1)
            world.toy = "toy-2"
            put_metrics(outbox, "m2", cpu=1)
            async with delivering(outbox, ledger):
                await drained(outbox)
        (made,) = ledger.tries
        assert made.arguments["toyId"] == "toy-1"
        assert [item.get("toyId") for item in made.arguments["metrics"]] == [None, "toy-2"]

    run_virtual(main())


def test_a_batch_that_is_tried_again_is_the_same_batch(tmp_path: Path) -> None:
    """So the cloud knows it again, whatever was put meanwhile."""

    async def main() -> None:
        ledger = Ledger(Clock())
        ledger.is_reachable = False
        async with opened(tmp_path) as outbox:
            put_metrics(outbox, "m1", cpu=1)
            put_metrics(outbox, "m2", cpu=2)
            async with delivering(outbox, ledger):
                await ledger.tried(1)
                put_metrics(outbox, "m3", cpu=3)
                await ledger.tried(3)
                ledger.is_reachable = True
                await drained(outbox)
        batches = [made.arguments["recordId"] for made in ledger.tries]
        assert len(set(batches[:-1])) == 1
        assert ledger.ids == ["m1", "m2", "m3"]

    run_virtual(main())


def test_one_record_that_is_refused_in_a_batch_is_found_and_set_aside(tmp_path: Path) -> None:
    """The others arrive, in order; further ones are joined again."""

    def refuses(made: Try) -> Exception | None:
        rows = made.arguments.get("metrics")
        names = [row["recordId"] for row in rows] if isinstance(rows, list) else []
        is_poison = "m3" in (*names, made.arguments["recordId"])
        return ApplicationError("BAD_METRICS") if is_poison else None

    async def main() -> None:
        ledger = Ledger(Clock())
        ledger.refuses = refuses
        async with opened(tmp_path) as outbox:
            for number in range(6):
                put_metrics(outbox, f"m{number}", cpu=number)
            async with delivering(outbox, ledger):
                await drained(outbox)
                assert outbox.counts.set_aside == 1
                put_metrics(outbox, "m6", cpu=6)
                put_metrics(outbox, "m7", cpu=7)
                await drained(outbox)
        *told, log = [name for name in ledger.ids if not name.startswith("m7")][:6]
        assert [name for name in ledger.ids if name.startswith("m")] == [
            "m0", "m1", "m2", "m4", "m5", "m6", "m7",
        ]  # fmt: skip
        assert told[:3] == ["m0", "m1", "m2"]
        assert log
        assert ledger.tries[-1].function == "metrics:batchRecord"

    run_virtual(main())


@pytest.mark.parametrize(
    "error",
    [
        NetworkError("not reached"),
        DeadlineError("late"),
        ServerError(500),
        ServerError(503),
        ServerError(429),
    ],
    ids=lambda error: type(error).__name__ + str(getattr(error, "status", "")),
)
@pytest.mark.parametrize("of", CLASSES)
def test_what_may_pass_is_tried_for_ever(tmp_path: Path, of: Class, error: CloudFaultError) -> None:
    """An outage of days sets nothing aside; the waits stay below their limit."""

    async def main() -> None:
        ledger = Ledger(Clock())
        ledger.faults.extend([error] * 200)
        async with opened(tmp_path) as outbox, delivering(outbox, ledger):
            put(outbox, "a", urgent=of == "urgent")
            await drained(outbox)
        assert ledger.ids == ["a"]
        times = [made.at_ms for made in ledger.tries]
        waits = [later - earlier for earlier, later in itertools.pairwise(times)]
        assert len(waits) == 200
        assert max(waits) <= 60_000
        assert 25_000 < sum(waits[10:]) / len(waits[10:]) < 35_000
        assert waits[0] <= 1_000

    run_virtual(main())


def test_bulk_that_is_refused_is_set_aside_at_once_and_the_next_goes_on(tmp_path: Path) -> None:
    """The cloud will never take it."""

    async def main() -> None:
        ledger = Ledger(Clock())
        ledger.faults.append(ApplicationError("BAD_ARGUMENTS"))
        async with opened(tmp_path) as outbox, delivering(outbox, ledger):
            put(outbox, "poison", urgent=False)
            put(outbox, "next", urgent=False)
            await drained(outbox)
            assert outbox.counts.set_aside == 1
        assert ledger.rows[0]["recordId"] == "next"
        assert ledger.rows[1]["context"] == {
            "function": "guardian:reportEvent",
            "code": "BAD_ARGUMENTS",
            "recordId": "poison",
        }
        assert all(made.at_ms == 0 for made in ledger.tries)

    run_virtual(main())


@pytest.mark.parametrize(
    ("of", "error", "tries"),
    [
        ("urgent", ApplicationError("BAD_ARGUMENTS"), URGENT_TRIES_MAX),
        ("urgent", ApplicationError(""), URGENT_TRIES_MAX),
        ("urgent", MalformedError("garbage"), URGENT_TRIES_MAX),
        ("urgent", ServerError(413), URGENT_TRIES_MAX),
        ("bulk", ApplicationError(""), BULK_TRIES_MAX),
        ("bulk", MalformedError("garbage"), BULK_TRIES_MAX),
        ("bulk", ServerError(413), BULK_TRIES_MAX),
    ],
)
def test_what_may_be_the_records_own_fault_is_tried_so_often_and_then_set_aside(
    tmp_path: Path, of: Class, error: CloudFaultError, tries: int
) -> None:
    """One record does not hold up all the others for ever."""

    async def main() -> None:
        ledger = Ledger(Clock())
        ledger.refuses = lambda made: error if made.arguments["recordId"] == "poison" else None
        async with opened(tmp_path) as outbox, delivering(outbox, ledger):
            put(outbox, "poison", urgent=of == "urgent")
            put(outbox, "next", urgent=of == "urgent")
            await drained(outbox)
            assert outbox.counts.set_aside == 1
        tried = [made.arguments["recordId"] for made in ledger.tries]
        assert tried.count("poison") == tries
        assert ledger.ids[0] == "next"

    run_virtual(main())


@pytest.mark.parametrize(
    "error",
    [
        AuthenticationError("no"),
        ApplicationError("DEVICE_NOT_FOUND"),
        ApplicationError("UNAUTHENTICATED"),
    ],
    ids=str,
)
def test_tokens_that_are_not_taken_are_given_back_and_new_ones_awaited(
    tmp_path: Path, error: CloudFaultError
) -> None:
    """Nothing is set aside, and nothing is asked meanwhile."""

    async def main() -> None:
        ledger = Ledger(Clock())
        ledger.faults.append(error)
        first, second = tokens(), tokens()
        grants = Grants(first)
        async with opened(tmp_path) as outbox, delivering(outbox, ledger, grants) as running:
            put(outbox, "a")
            await ledger.tried(1)
            await asyncio.sleep(3_600)
            assert grants.rejected == [first]
            assert len(ledger.tries) == 1
            grants.present = second
            running.wake()
            await drained(outbox)
            assert outbox.counts.set_aside == 0
        assert ledger.ids == ["a"]

    run_virtual(main())


def test_without_tokens_nothing_is_asked_until_there_are_some(tmp_path: Path) -> None:
    """A toy that was never let in keeps everything."""

    async def main() -> None:
        ledger = Ledger(Clock())
        grants = Grants(None)
        async with opened(tmp_path) as outbox, delivering(outbox, ledger, grants) as running:
            put(outbox, "a")
            running.wake()
            await asyncio.sleep(3_600)
            assert ledger.tries == []
            grants.present = tokens()
            running.wake()
            await drained(outbox)
        assert ledger.ids == ["a"]

    run_virtual(main())


def test_news_of_the_network_ends_a_wait_at_once(tmp_path: Path) -> None:
    """Also if it came while the call that failed was under way."""

    async def main() -> None:
        ledger = Ledger(Clock(), takes_ms=100)
        ledger.is_reachable = False
        async with opened(tmp_path) as outbox, delivering(outbox, ledger) as running:
            put(outbox, "a")
            await ledger.tried(12)
            await asyncio.sleep(0.2)
            ledger.is_reachable = True
            woken_ms = Clock().monotonic_ms()
            running.wake()
            await drained(outbox)
            assert Clock().monotonic_ms() - woken_ms <= WAKE_SPREAD_MS + 100
            ledger.is_reachable = False
            put(outbox, "b")
            await ledger.tried(len(ledger.tries) + 12)
            running.wake()  # the call fails all the same
            await asyncio.sleep(0.1)
            ledger.is_reachable = True
            woken_ms = Clock().monotonic_ms()
            await drained(outbox)
            assert Clock().monotonic_ms() - woken_ms <= WAKE_SPREAD_MS + 200

    run_virtual(main())


def test_a_lock_is_told_at_once_even_in_the_middle_of_a_long_wait(tmp_path: Path) -> None:
    """A guardian should know; the records before it go first."""

    async def main() -> None:
        ledger = Ledger(Clock())
        ledger.is_reachable = False
        async with opened(tmp_path) as outbox, delivering(outbox, ledger):
            put(outbox, "a")
            await ledger.tried(12)
            ledger.is_reachable = True
            locked_ms = Clock().monotonic_ms()
            outbox.put(
                "guardian:reportEvent",
                {"eventType": "emergency_stop"},
                urgent=True,
                record_id="lock",
            )
            await drained(outbox)
            assert Clock().monotonic_ms() - locked_ms <= WAKE_SPREAD_MS
        assert ledger.ids == ["a", "lock"]

    run_virtual(main())


def test_a_thousand_toys_do_not_come_back_in_step(tmp_path: Path) -> None:
    """Those that are woken together spread over the time they are given."""

    async def main() -> None:
        ledger = Ledger(Clock())
        ledger.is_reachable = False
        async with opened(tmp_path) as outbox:
            put(outbox, "a")
            toys = [delivery(outbox, ledger, seed=seed) for seed in range(1_000)]
            for toy in toys:
                toy.start()
            await ledger.tried(len(toys) * 2)
            ledger.tries.clear()
            for toy in toys:
                toy.wake()
            since_ms = Clock().monotonic_ms()
            await ledger.tried(len(toys))
            slots = [0] * 10
            for made in ledger.tries[: len(toys)]:
                slots[min(9, (made.at_ms - since_ms) * 10 // WAKE_SPREAD_MS)] += 1
            assert max(slots) < 200
            for toy in toys:
                await toy.close()

    run_virtual(main())


def test_audio_is_uploaded_before_the_conversation_and_removed_after_it(tmp_path: Path) -> None:
    """And once: a cut between the two uploads nothing again."""

    async def main() -> None:
        ledger = Ledger(Clock())
        ledger.is_reachable = False
        audio = Audio("stored-1")
        async with opened(tmp_path) as outbox, delivering(outbox, ledger, audio=audio):
            outbox.put("conversations:create", {"n": 1}, urgent=False, record_id="c", audio="s")
            await ledger.tried(2)
        assert (audio.uploaded, audio.removed) == (["s"], [])
        async with (
            opened(tmp_path, boot_id="after a power cut") as outbox,
            delivering(outbox, ledger, audio=audio),
        ):
            ledger.is_reachable = True
            await drained(outbox)
        assert (audio.uploaded, audio.removed) == (["s"], ["s"])
        (row,) = ledger.rows
        assert row["audioStorageId"] == "stored-1"

    run_virtual(main())


def test_the_name_of_uploaded_audio_is_on_the_card_before_anything_refers_to_it(
    tmp_path: Path,
) -> None:
    """A power cut during the next call uploads nothing twice."""
    on_card: list[bool] = []

    def looks(_: Try) -> None:
        on_card.append(b"stored-1" in (tmp_path / "bulk.log").read_bytes())

    async def main() -> None:
        ledger = Ledger(Clock())
        ledger.refuses = looks
        async with opened(tmp_path) as outbox, delivering(outbox, ledger, audio=Audio("stored-1")):
            outbox.put("conversations:create", {}, urgent=False, record_id="c", audio="s")
            await drained(outbox)
        assert on_card == [True]

    run_virtual(main())


@pytest.mark.parametrize(
    ("outcomes", "stored"),
    [
        ([None], None),
        ([NetworkError("x")] * (HELD_TRIES * BULK_PUT_OFF_MAX) + ["s1"], "s1"),
        ([NetworkError("x")] * 100, None),
        ([MalformedError("x"), "s1"], "s1"),
        ([MalformedError("x")] * BULK_TRIES_MAX, None),
        ([UploadRefusedError("x")], None),
    ],
    ids=["gone", "network", "no storage", "garbage once", "garbage for ever", "refused"],
)
def test_a_conversation_arrives_with_its_audio_or_else_without(
    tmp_path: Path, outcomes: list[Exception | str | None], stored: str | None
) -> None:
    """Audio that cannot be uploaded takes no record with it."""

    async def main() -> None:
        ledger, audio = Ledger(Clock()), Audio(*outcomes)
        async with opened(tmp_path) as outbox, delivering(outbox, ledger, audio=audio):
            outbox.put("conversations:create", {}, urgent=False, record_id="c", audio="s")
            outbox.put("conversations:create", {}, urgent=False, record_id="d")
            await drained(outbox)
            assert outbox.counts.set_aside == 0
        talks = [row for row in ledger.rows if row["function"] == "conversations:create"]
        assert sorted((row["recordId"], row["audioStorageId"]) for row in talks) == [
            ("c", stored),
            ("d", None),
        ]

    run_virtual(main())


def test_closing_during_a_call_is_immediate_and_loses_nothing(tmp_path: Path) -> None:
    """The call may be carried out; the next start asks again."""

    async def main() -> None:
        ledger = Ledger(Clock(), takes_ms=15_000)
        async with opened(tmp_path) as outbox:
            running = delivery(outbox, ledger)
            running.start()
            put(outbox, "a")
            await ledger.tried(1)
            await running.close()
            assert Clock().monotonic_ms() == 0
        async with opened(tmp_path) as outbox, delivering(outbox, ledger):
            await drained(outbox)
        assert ledger.ids == ["a"]

    run_virtual(main())


def test_no_word_of_a_record_is_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever befalls it, also where our own code or theirs fails over it."""

    def refuses(made: Try) -> Exception | None:
        return ValueError(str(made.arguments))

    async def main() -> None:
        ledger = Ledger(Clock())
        ledger.refuses = refuses
        async with opened(tmp_path) as outbox, delivering(outbox, ledger):
            outbox.put(
                "conversations:create", {"transcript": "canary"}, urgent=False, record_id="c"
            )
            await drained(outbox)
            assert outbox.counts.set_aside == 2, "the log is refused as well"

    with caplog.at_level("DEBUG"):
        run_virtual(main())
    assert "ValueError" in caplog.text
    assert "canary" not in caplog.text


def test_what_is_erased_while_it_is_tried_is_not_delivered_later(tmp_path: Path) -> None:
    """A guardian's word goes before an outage's backlog."""

    async def main() -> None:
        ledger = Ledger(Clock())
        ledger.is_reachable = False
        async with opened(tmp_path) as outbox, delivering(outbox, ledger):
            put(outbox, "said", urgent=False)
            await ledger.tried(2)
            await outbox.erase()
            ledger.is_reachable = True
            put(outbox, "later", urgent=False)
            await drained(outbox)
        assert ledger.ids == ["later"]

    run_virtual(main())


def test_a_boot_id_is_only_a_name(tmp_path: Path) -> None:
    """Nothing of it leaves the device."""

    async def main() -> None:
        ledger = Ledger(Clock())
        async with opened(tmp_path) as outbox, delivering(outbox, ledger):
            put(outbox, "a")
            await drained(outbox)
        assert BOOT not in str(ledger.tries)

    run_virtual(main())


HELD_UP = [
    ServerError(500),
    DeadlineError("late"),
    AuthenticationError("no"),
    ApplicationError("UNAUTHENTICATED"),
    ApplicationError("DEVICE_NOT_FOUND"),
]


class Renewing(Grants):
    """Tokens that are granted anew as soon as they are given back."""

    def __init__(self) -> None:
        super().__init__(tokens())

    def reject(self, given: Tokens) -> None:
        """Take tokens that the cloud did not take, and get others."""
        super().reject(given)
        self.present = tokens()


def poisoned(error: Exception) -> Ledger:
    """Return a cloud that fails over one record, and over nothing else."""
    ledger = Ledger(Clock())
    ledger.refuses = lambda made: error if made.arguments["recordId"] == "poison" else None
    return ledger


@pytest.mark.parametrize("error", HELD_UP, ids=str)
@pytest.mark.parametrize("of", CLASSES)
def test_a_record_that_the_cloud_alone_fails_over_holds_up_no_other(
    tmp_path: Path, of: Class, error: CloudFaultError
) -> None:
    """The others arrive within minutes, in order; it is tried for hours, and then set aside."""
    rounds = {"urgent": URGENT_PUT_OFF_MAX, "bulk": BULK_PUT_OFF_MAX}[of]

    async def main() -> None:
        ledger = poisoned(error)
        async with opened(tmp_path) as outbox, delivering(outbox, ledger, Renewing()):
            for name in ("poison", "a", "b"):
                put(outbox, name, urgent=of == "urgent")
            put(outbox, "bulk", urgent=False)
            await ledger.until(4)
            assert [name for name in ledger.ids if len(name) <= 4] == ["a", "b", "bulk"]
            assert Clock().monotonic_ms() < HELD_TRIES * 60_000
            assert outbox.counts.set_aside == 0
            await drained(outbox)
            assert outbox.counts.set_aside == 1
        tried = [made.arguments["recordId"] for made in ledger.tries]
        assert tried.count("poison") == rounds * (HELD_TRIES + 1)
        (told,) = [row for row in ledger.rows if row.get("code") == "record_set_aside"]
        assert told["context"]["code"] == NEVER_TAKEN

    run_virtual(main())


@pytest.mark.parametrize("error", HELD_UP, ids=str)
def test_an_outage_of_days_puts_nothing_off_and_keeps_the_order(
    tmp_path: Path, error: CloudFaultError
) -> None:
    """Also where it ends between two calls: the record is tried once more before it is judged."""

    async def main() -> None:
        for faults in range(5 * HELD_TRIES, 7 * HELD_TRIES):
            ledger = Ledger(Clock())
            ledger.faults.extend([error] * faults)
            folder = tmp_path / str(faults)
            folder.mkdir()
            async with opened(folder) as outbox, delivering(outbox, ledger, Renewing()):
                for name in ("a", "b", "c"):
                    put(outbox, name)
                await drained(outbox)
                assert outbox.counts.set_aside == 0
            assert [name for name in ledger.ids if "held-up" not in name] == ["a", "b", "c"]

    run_virtual(main())


def test_a_lock_and_answers_to_commands_go_past_a_record_that_failed(tmp_path: Path) -> None:
    """At once, in their own order, also after a restart."""

    async def main() -> None:
        ledger = poisoned(ServerError(500))
        async with opened(tmp_path) as outbox, delivering(outbox, ledger):
            put(outbox, "poison")
            await ledger.tried(2)
            put(outbox, "other")
            lock = {"eventType": "emergency_stop"}
            outbox.put("guardian:reportEvent", lock, urgent=True, record_id="lock")
            answer = {"commandId": "c", "outcome": "done"}
            outbox.put("devices:ackCommand", answer, urgent=True, record_id="answer")
            await ledger.until(2)
            assert ledger.ids == ["lock", "answer"]
            assert len(ledger.tries) <= 5
            ledger.is_reachable = False
            outbox.put("guardian:reportEvent", lock, urgent=True, record_id="lock-2")
            await ledger.tried(len(ledger.tries) + 1)
        async with opened(tmp_path) as outbox, delivering(outbox, ledger):
            ledger.is_reachable = True
            await ledger.until(3)
            assert ledger.ids[-1] == "lock-2"

    run_virtual(main())


def test_a_log_that_is_held_up_is_asked_about_by_another_function(tmp_path: Path) -> None:
    """It may be the function that fails."""

    async def main() -> None:
        ledger = Ledger(Clock())
        ledger.refuses = lambda made: ServerError(500) if made.function == "logs:create" else None
        async with opened(tmp_path) as outbox, delivering(outbox, ledger):
            outbox.put("logs:create", {}, urgent=False, record_id="log")
            put(outbox, "next", urgent=False)
            await ledger.until(2)
        assert [row["function"] for row in ledger.rows] == [
            "metrics:record",
            "guardian:reportEvent",
        ]

    run_virtual(main())


def test_a_batch_that_the_cloud_fails_over_is_taken_apart(tmp_path: Path) -> None:
    """One of its records may be to blame; none is lost with it."""

    async def main() -> None:
        ledger = Ledger(Clock())
        ledger.refuses = lambda made: (
            ServerError(500) if made.function == "metrics:batchRecord" else None
        )
        async with opened(tmp_path) as outbox, delivering(outbox, ledger):
            for name in ("m1", "m2", "m3"):
                put_metrics(outbox, name, cpu=1)
            await drained(outbox)
        assert ledger.ids[1:] == ["m1", "m2", "m3"]

    run_virtual(main())


class Slow(Audio):
    """An uploader that takes its time.

    Attributes:
        began: Set once an upload is under way.
        may_end: Set it to let the upload end.
    """

    def __init__(self, *outcomes: Exception | str | None) -> None:
        super().__init__(*outcomes)
        self.began = asyncio.Event()
        self.may_end = asyncio.Event()

    async def upload(self, name: str) -> str | None:
        """Wait, then follow the script."""
        self.began.set()
        await self.may_end.wait()
        return await super().upload(name)


def put_talk(outbox: Outbox) -> None:
    """Put a conversation with words and speech."""
    said = {"transcript": "canary", "replyText": "canary", "outcome": "answered"}
    outbox.put("conversations:create", said, urgent=False, record_id="talk", audio="speech")


@pytest.mark.parametrize("outcome", ["stored-1", None, UploadRefusedError("no")], ids=str)
def test_words_withdrawn_during_an_upload_are_not_sent_after_it(
    tmp_path: Path, outcome: Exception | str | None
) -> None:
    """The record is read anew, whatever became of the upload."""

    async def main() -> None:
        ledger, audio = Ledger(Clock()), Slow(outcome)
        async with opened(tmp_path) as outbox, delivering(outbox, ledger, audio=audio):
            put_talk(outbox)
            await audio.began.wait()
            outbox.forget_words()
            audio.may_end.set()
            await drained(outbox)
        (row,) = ledger.rows
        assert (row["transcript"], row["replyText"], row["outcome"]) == (None, None, "answered")
        assert "canary" not in str(ledger.tries)

    run_virtual(main())


def test_speech_withdrawn_during_an_upload_is_referred_to_by_nothing(tmp_path: Path) -> None:
    """Also where the uploader learns of it too late."""

    async def main() -> None:
        ledger, audio = Ledger(Clock()), Slow("stored-1")
        async with opened(tmp_path) as outbox, delivering(outbox, ledger, audio=audio):
            put_talk(outbox)
            await audio.began.wait()
            outbox.forget_speech()
            audio.may_end.set()
            await drained(outbox)
        (row,) = ledger.rows
        assert row["audioStorageId"] is None

    run_virtual(main())


def test_what_is_erased_during_its_upload_is_never_sent(tmp_path: Path) -> None:
    """Nor does what comes after it wait for that upload."""

    async def main() -> None:
        ledger, audio = Ledger(Clock()), Slow("stored-1")
        async with opened(tmp_path) as outbox, delivering(outbox, ledger, audio=audio) as running:
            put_talk(outbox)
            await audio.began.wait()
            running.recall_bulk()
            await outbox.erase()
            put(outbox, "later", urgent=False)
            await drained(outbox)
            audio.may_end.set()
            put(outbox, "last", urgent=False)
            await drained(outbox)
        assert ledger.ids == ["later", "last"]

    run_virtual(main())


def test_a_call_that_is_recalled_is_made_again_with_what_then_waits(tmp_path: Path) -> None:
    """Its words are gone, its id is the same; something urgent is not disturbed."""

    async def main() -> None:
        ledger = Ledger(Clock(), takes_ms=1_000)
        async with opened(tmp_path) as outbox, delivering(outbox, ledger) as running:
            said = {"transcript": "canary", "outcome": "answered"}
            outbox.put("conversations:create", said, urgent=False, record_id="talk")
            await ledger.tried(1)
            put(outbox, "urgent")
            await ledger.tried(2)
            outbox.forget_words()
            running.recall_bulk()
            await drained(outbox)
        assert [made.arguments["recordId"] for made in ledger.tries] == ["talk", "urgent", "talk"]
        assert "canary" not in str(ledger.rows)

    run_virtual(main())


def test_delivery_goes_on_after_what_should_never_be_raised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A defect ends one attempt, and not the delivery of what a guardian waits for."""
    real, defects = Outbox.head, ["one"]

    async def head(self: Outbox, *asked: Any, **more: Any) -> Any:  # noqa: ANN401 - as it is
        if defects:
            raise MemoryError(defects.pop())
        return await real(self, *asked, **more)

    monkeypatch.setattr(Outbox, "head", head)

    async def main() -> None:
        ledger = Ledger(Clock())
        async with opened(tmp_path) as outbox, delivering(outbox, ledger):
            put(outbox, "a")
            await drained(outbox)
        assert ledger.ids == ["a"]

    run_virtual(main())
