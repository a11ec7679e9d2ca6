"""Performs ``report``: what a guardian is told of, as records for the cloud."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from firmware.store.record import REPORT_FUNCTION

if TYPE_CHECKING:
    from collections.abc import Mapping

    from firmware.ports import Outlet, PerformEffect
    from states.events import FieldValue

_log = logging.getLogger(__name__)

DETAIL_CHARS_MAX: Final = 200
"""Longest detail: the ids of commands, the longest of what is reported, have a quarter of it."""

_DETAIL: Final = "detail"
_DETAILS: Final[Mapping[str, str]] = {
    "safety_violation": "lockId",
    "emergency_stop": "lockId",
    "locked_at_start": "lockId",
    "unlocked": "lockId",
    "said_by_guardian": "commandId",
    "part_failed": "parts",
    "part_recovered": "parts",
}
"""What the one detail of a kind of report is called at the cloud; ``detail`` for other kinds."""


class Reports:
    """Puts reports into the outbox, the urgent ones among what is urgent.

    A detail is what the event held: the id of a lock or a command, the names of parts. Events hold
    no words (`states.events`), so no report does.
    """

    def __init__(self, outlet: Outlet) -> None:
        self._outlet = outlet

    @property
    def effects(self) -> Mapping[str, PerformEffect]:
        """The effect it performs."""
        return {"report": self._report}

    def _report(self, kind: str, *, urgent: bool, detail: FieldValue) -> None:
        details: dict[str, object] = {}
        if detail is not None:
            shown = detail[:DETAIL_CHARS_MAX] if isinstance(detail, str) else detail
            details[_DETAILS.get(kind, _DETAIL)] = shown
        self._outlet.put(
            REPORT_FUNCTION,
            {"eventType": kind, "details": details, "isUrgent": urgent},
            urgent=urgent,
        )


class UntoldReports:
    """Performs ``report`` where there is nobody to tell: on a device without an identity."""

    @property
    def effects(self) -> Mapping[str, PerformEffect]:
        """The effect it performs."""
        return {"report": self._report}

    def _report(self, kind: str, *, urgent: bool, detail: FieldValue) -> None:
        _log.warning("%s (urgent: %s, %s): nobody is told: no identity", kind, urgent, detail)
