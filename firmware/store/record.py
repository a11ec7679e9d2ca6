"""A record on its way to the cloud, and its form on disk."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Final, Literal, get_type_hints

RECORD_ID_CHARS_MAX: Final = 128
ADDED: Final = frozenset({"deviceId", "toyId", "recordId", "timestamp", "clockSet", "ageMs"})
"""Arguments that delivery adds, and nobody else."""

LOCK_REPORTS: Final = frozenset({"emergency_stop", "safety_violation", "locked_at_start"})
"""Kinds of event that say that the toy has locked, with the id that a release must name."""
REPORT_FUNCTION: Final = "guardian:reportEvent"
METRICS_FUNCTION: Final = "metrics:record"
LOG_FUNCTION: Final = "logs:create"
CONVERSATION_FUNCTION: Final = "conversations:create"
WORDS: Final = ("transcript", "replyText")
"""Arguments of a conversation that hold what was said."""
Private = Literal["words", "speech"]
"""What a guardian may not, or no longer, want to be kept of a conversation."""
ACKNOWLEDGE_FUNCTION: Final = "devices:ackCommand"

_ID: Final = re.compile(rf"[\x21-\x7e]{{1,{RECORD_ID_CHARS_MAX}}}")


@dataclass(frozen=True, slots=True)
class Stamp:
    """When a record was made, on both clocks.

    Attributes:
        wall_ms: Milliseconds since 1970, UTC, by a clock that may be wrong.
        clock_set: Whether it could be believed.
        boot_id: The start of the computer that ``monotonic_ms`` counts from.
        monotonic_ms: Milliseconds that only grow.
    """

    wall_ms: int
    clock_set: bool
    boot_id: str
    monotonic_ms: int


@dataclass(frozen=True, slots=True)
class Record:
    """One mutation that the cloud is to carry out once.

    Attributes:
        record_id: Its name for ever, at the cloud as well.
        function: The mutation.
        arguments: JSON text of an object, without what delivery adds. It may hold words.
        toy_id: Which toy the device was.
        stamp: When it was made.
        audio: Name of stored audio that goes with it; empty: none.
        storage_id: What the cloud calls that audio, once it was uploaded.
    """

    record_id: str
    function: str
    arguments: str = field(repr=False)
    toy_id: str
    stamp: Stamp
    audio: str = ""
    storage_id: str = ""

    def encoded(self) -> str:
        """Return it as one line of JSON, in which the arguments are an object and not a text.

        A text would have every quotation mark of theirs escaped a second time, and a record be
        longer than what it says.
        """
        values = asdict(self) | {"arguments": json.loads(self.arguments)}
        return json.dumps(values, separators=(",", ":"))

    def with_storage_id(self, storage_id: str) -> Record:
        """Return the record of audio that was uploaded."""
        return self if storage_id == self.storage_id else replace(self, storage_id=storage_id)

    def without(self, private: Collection[Private]) -> Record:
        """Return a conversation as it is where this of it must not be kept; others as they are."""
        if self.function != CONVERSATION_FUNCTION:
            return self
        record = self
        if "speech" in private:
            record = replace(record, audio="", storage_id="")
        if "words" in private:
            arguments = json.loads(record.arguments)
            arguments |= dict.fromkeys(arguments.keys() & set(WORDS))
            record = replace(record, arguments=json.dumps(arguments, separators=(",", ":")))
        return record

    @classmethod
    def decode(cls, text: str) -> Record | None:
        """Return the record in ``text``, or None if it is not one."""
        try:
            values = json.loads(text)
            stamp = Stamp(**values.pop("stamp"))
            arguments = values.pop("arguments")
            said = json.dumps(arguments, separators=(",", ":"))
            record = cls(stamp=stamp, arguments=said, **values)
            is_one = (
                _has_its_types(record) and _has_its_types(stamp) and isinstance(arguments, dict)
            )
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return None
        return record if is_one else None


def is_lock_report(function: str, arguments: Mapping[str, object]) -> bool:
    """Tell whether this is a report for which places are kept."""
    return function == REPORT_FUNCTION and arguments.get("eventType") in LOCK_REPORTS


def goes_past(function: str, arguments: Mapping[str, object]) -> bool:
    """Tell whether this does not wait behind a record that fails: a guardian waits for it."""
    return function == ACKNOWLEDGE_FUNCTION or is_lock_report(function, arguments)


def checked_arguments(arguments: Mapping[str, object]) -> str:
    """Return arguments as JSON text.

    Raises ValueError or TypeError for what is not plain JSON, or holds a key that delivery adds.
    """
    taken = ADDED & arguments.keys()
    if taken:
        raise ValueError(f"a record's arguments hold {min(taken)}, which delivery adds")
    return json.dumps(dict(arguments), separators=(",", ":"), allow_nan=False)


def checked_id(record_id: str) -> str:
    """Return the id of a record. Raises ValueError if it cannot be one."""
    if _ID.fullmatch(record_id):
        return record_id
    raise ValueError(f"a record's id is 1 to {RECORD_ID_CHARS_MAX} visible ASCII characters")


def _has_its_types(value: Record | Stamp) -> bool:
    types = _RECORD_TYPES if isinstance(value, Record) else _STAMP_TYPES
    return all(type(getattr(value, name)) is wanted for name, wanted in types.items())


_STAMP_TYPES: Final = get_type_hints(Stamp)
_RECORD_TYPES: Final = get_type_hints(Record)
