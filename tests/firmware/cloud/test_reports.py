"""What a guardian is told."""

from __future__ import annotations

import asyncio
import json

from firmware.cloud.reports import DETAIL_CHARS_MAX, Reports
from firmware.loop import Loop
from hardware.clock import Clock
from hardware.sim.clock import run_virtual
from states.context import Context, Lock
from states.derive import Situation
from states.effects import Effect
from states.events import Event, FieldValue
from states.machine import Core
from states.table import ROWS
from tests.firmware.outlets import KeptOutlet, Put
from tests.firmware.stage import Diarist

LOCK = Lock("lock-9", "lock", 0, "violation", None)


def reported(kind: str, detail: FieldValue, *, urgent: bool) -> Put:
    """Return the record that a report becomes."""
    outbox = KeptOutlet()
    Reports(outbox).effects["report"](kind=kind, urgent=urgent, detail=detail)
    (put,) = outbox.puts
    return put


def test_a_report_is_a_record_of_its_class() -> None:
    """Urgent ones are among what is urgent, and say so to the cloud."""
    put = reported("safety_violation", "lock-9", urgent=True)
    assert put == (
        "guardian:reportEvent",
        {"eventType": "safety_violation", "details": {"lockId": "lock-9"}, "isUrgent": True},
        True,
        "",
    )
    assert not reported("self_test_late", None, urgent=False).urgent


def test_a_report_without_detail_has_no_details() -> None:
    """Nothing stands for nothing."""
    assert reported("self_test_late", None, urgent=False).arguments["details"] == {}


def test_a_kind_that_is_new_still_tells_its_detail() -> None:
    """A row may be added without a word here."""
    assert reported("brand_new", 7, urgent=False).arguments["details"] == {"detail": 7}


def test_a_detail_is_limited() -> None:
    """Whatever an id may be made of."""
    details = reported("part_failed", "x" * 999, urgent=False).arguments["details"]
    assert details == {"parts": "x" * DETAIL_CHARS_MAX}


def test_every_report_of_the_table_becomes_a_record() -> None:
    """Each row that reports can be told to the cloud: small scalars, and nothing else."""
    outbox = KeptOutlet()
    perform = Reports(outbox).effects["report"]
    before = Context(identity=True, lock=LOCK)
    event = Event("any", {"command": "row-1", "part": "microphone", "failed": "microphone"}, "e1")
    kinds = set()
    for row in ROWS:
        for do in row.do:
            effect = do(before, before, event) if "report" in do.__name__ else None
            if isinstance(effect, Effect) and effect.name == "report":
                perform(**effect.fields)
                kinds.add(effect.fields["kind"])
    assert kinds >= {
        *("safety_violation", "unlocked", "part_failed", "self_test_late", "button_stuck"),
        *("erase_failed", "credentials_refused", "consent_withdrawn", "said_by_guardian"),
    }
    for put in outbox.puts:
        details = put.arguments["details"]
        assert isinstance(details, dict)
        assert all(isinstance(value, str | int | bool) for value in details.values())
        json.dumps(put.arguments)


def test_an_emergency_stop_reaches_the_outbox_through_the_loop() -> None:
    """By the real table: urgent, with the id that a release must name."""

    async def main() -> list[Put]:
        outbox = KeptOutlet()
        clock = Clock()
        situation = Situation("idle.awake", Context(identity=True, tokens=True, consent=True))
        loop = Loop(Core(situation), Diarist([]), clock, "boot")
        loop.add(Reports(outbox))
        stepped: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        loop.observers.append(lambda _: stepped.set_result(None))
        loop.post("emergency_stop", command=None)
        await stepped
        return outbox.puts

    (put,) = run_virtual(main())
    assert put.urgent
    assert put.arguments["eventType"] == "emergency_stop"
    assert put.arguments["details"] == {"lockId": "boot1"}
