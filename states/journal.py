"""Journal records: one line a step, chained by hashes, readable years later.

A journal is JSON lines. The first is a header: format, commit, fingerprints of the behaviour and
of the configuration, and the situation that the first step starts from. Each further line is a
step. Every line carries the hash of the line before it and its own, so that a line cannot be
altered, left out or added unseen, not even the last; only a line cut short at the very end is
forgiven, because that is what a power cut does.

It holds ids, durations and hashes; never audio, words or secrets (events and effects have none).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from states.context import Context, Lock
from states.derive import Situation
from states.effects import Effect
from states.errors import BrokenJournal, ForeignJournal, TornJournal
from states.events import Event
from states.machine import Step

FORMAT: Final = 1
"""Raised when a reader of the old format could not read the new one."""
HASH_DIGITS: Final = 32
LINE_CHARACTERS_MAX: Final = 65_536
"""No honest line comes near: a header is about 5,000 characters, a step a few hundred."""

_ENCODER: Final = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"), check_circular=False)
_MALFORMED: Final = (KeyError, TypeError, ValueError, AttributeError, OverflowError)
"""What reading a record of the wrong shape may raise."""
_TAIL: Final = len(f',"hash":"{"0" * HASH_DIGITS}"}}')


class Header(NamedTuple):
    """What the first line says. ``rows`` are fingerprints by row id."""

    format: int
    commit: str
    table: str
    rows: Mapping[str, str]
    configuration: str
    situation: Situation


class Entry(NamedTuple):
    """A step as it was recorded; ``line`` counts from 1, the header's."""

    line: int
    seq: int
    step: Step


class Journal(NamedTuple):
    """A journal that was read and believed; ``torn`` when a last line cut short was left out."""

    header: Header
    entries: tuple[Entry, ...]
    torn: bool


class Recorder:
    """Writes records: text out, no I/O.

    ``header`` once, then ``line`` for each step; each returns one line without its newline.
    """

    def __init__(self) -> None:
        """Begin a chain."""
        self._previous = "0" * HASH_DIGITS
        self._seq = 0

    def header(self, header: Header) -> str:
        """Return the first line."""
        leaf, context = header.situation
        return self._chained(
            {
                "pommai_journal": header.format,
                "commit": header.commit,
                "table": header.table,
                "rows": header.rows,
                "configuration": header.configuration,
                "leaf": leaf,
                "context": encoded_context(context),
            }
        )

    def line(self, step: Step) -> str:
        """Return the line of ``step``."""
        self._seq += 1
        event = step.event
        return self._chained(
            {
                "seq": self._seq,
                "ms": event.at_ms,
                "event": (event.name, event.fields, event.id),
                "from": step.source,
                "row": step.row,
                "to": step.to,
                "effects": step.effects,
            }
        )

    def _chained(self, body: dict[str, object]) -> str:
        body["prev"] = self._previous
        text = _ENCODER.encode(body)[:-1]
        self._previous = _hash(text)
        return f'{text},"hash":"{self._previous}"}}'


def read(lines: Iterable[str]) -> Journal:
    """Read and verify a journal, given its lines with or without newlines.

    Raises ForeignJournal when the first line is no header of a format this code reads, and
    BrokenJournal, naming the line, when a line is altered, missing, added or out of order. A last
    line that is cut short is left out and noted in ``torn``.
    """
    records = _Records()
    torn = False
    for number, line in enumerate(lines, 1):
        if torn:
            raise BrokenJournal(
                f"line {number - 1} is cut short, and it is not the last", number - 1
            )
        try:
            records.take(number, line)
        except TornJournal:
            torn = True
    if records.header is None:
        raise ForeignJournal(
            "there is no complete first line: this is no journal, or nothing was recorded", 1
        )
    return Journal(records.header, tuple(records.entries), torn)


class _Records:
    """What was read so far, and the hash that the next line must carry."""

    def __init__(self) -> None:
        self.header: Header | None = None
        self.entries: list[Entry] = []
        self._previous = "0" * HASH_DIGITS

    def take(self, number: int, line: str) -> None:
        record = self._verified(number, line)
        if self.header is None:
            self.header = _header(record)
            return
        try:
            entry = _entry(number, record)
        except _MALFORMED as error:
            raise BrokenJournal(
                f"line {number} is no record of a step: {error!r}", number
            ) from error
        if entry.seq != len(self.entries) + 1:
            raise BrokenJournal(
                f"line {number} is step {entry.seq}, expected {len(self.entries) + 1}", number
            )
        self.entries.append(entry)

    def _verified(self, number: int, line: str) -> dict[str, Any]:
        complete = line.endswith("\n")
        text = line.rstrip("\r\n")
        if len(text) > LINE_CHARACTERS_MAX:
            raise self._unbelievable(number, f"is longer than {LINE_CHARACTERS_MAX} characters")
        try:
            record = json.loads(text.encode("ascii"))
        except (ValueError, RecursionError) as error:
            if complete or not text:
                raise self._unbelievable(number, "is not JSON as a recorder writes it") from error
            raise TornJournal(f"line {number} is cut short", number) from error
        if not isinstance(record, dict):
            raise self._unbelievable(number, "is no record")
        if record.get("prev") != self._previous:
            raise self._unbelievable(
                number, "does not follow from the line before it: one is missing, added or altered"
            )
        if record.get("hash") != _hash(text[:-_TAIL]):
            raise self._unbelievable(number, "was altered: its hash is not that of its text")
        self._previous = str(record["hash"])
        return record

    def _unbelievable(self, number: int, what: str) -> BrokenJournal | ForeignJournal:
        if self.header is None:
            return ForeignJournal(f"line {number} {what}; a journal begins with its header", number)
        return BrokenJournal(f"line {number} {what}", number)


def _header(record: dict[str, Any]) -> Header:
    found = record.get("pommai_journal")
    if found != FORMAT:
        raise ForeignJournal(f"the format is {found!r}; this code reads format {FORMAT}", 1)
    try:
        return Header(
            FORMAT,
            str(record["commit"]),
            str(record["table"]),
            {str(name): str(value) for name, value in record["rows"].items()},
            str(record["configuration"]),
            Situation(str(record["leaf"]), decoded_context(record["context"])),
        )
    except _MALFORMED as error:
        raise ForeignJournal(f"the header is not complete: {error!r}", 1) from error


def _entry(number: int, record: dict[str, Any]) -> Entry:
    name, fields, event_id = record["event"]
    event = Event(str(name), dict(fields), str(event_id), int(record["ms"]))
    effects = tuple([Effect(str(effect), dict(its)) for effect, its in record["effects"]])
    step = Step(event, str(record["from"]), str(record["row"]), str(record["to"]), effects)
    return Entry(number, int(record["seq"]), step)


def encoded_context(context: Context) -> dict[str, object]:
    """Return the context as JSON holds it."""
    fields: dict[str, object] = context._asdict()
    fields["lock"] = context.lock and context.lock._asdict()
    return fields


def decoded_context(fields: Mapping[str, Any]) -> Context:
    """Return the context that ``encoded_context`` made. Raises TypeError for unknown fields."""
    known = dict(fields)
    known["lock"] = None if known.get("lock") is None else Lock(**known["lock"])
    known["timers"] = tuple([(str(name), int(arming)) for name, arming in known.get("timers", ())])
    return Context(**known)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:HASH_DIGITS]
