"""A guardian's command: a row of ``devices:commands``, checked once and for all."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, NamedTuple

from firmware.cloud.errors import MalformedError

if TYPE_CHECKING:
    from states.events import FieldValue

ID_CHARS_MAX: Final = 100
"""Longest id of a command or lock: with a prefix it is still the id of a record."""
TOY_ID_CHARS_MAX: Final = 128
WORDS_CHARS_MAX: Final = 1_000
"""Longest text that a guardian may have spoken."""
PAUSE_S_MAX: Final = 86_400
EXTENSION_MINUTES_MAX: Final = 24 * 60
PERCENT_MAX: Final = 100
ISSUED_MS_MAX: Final = 2**53
"""Where the floats in which Convex sends whole numbers stop being exact."""

# What may stand in the id of a record (commands, locks) and in a header (toys: RFC 9110, 5.5).
_ID: Final = re.compile(rf"[A-Za-z0-9._:-]{{1,{ID_CHARS_MAX}}}")
_VISIBLE: Final = re.compile(rf"[!-~]{{1,{TOY_ID_CHARS_MAX}}}")
_SIGNATURE: Final = re.compile(r"[A-Za-z0-9+/]{86}==")

Fields = Mapping[str, "FieldValue"]


class Stamp(NamedTuple):
    """When a command was issued, in the cloud's order: its time (ms since 1970), then its id."""

    issued_at_ms: float
    command: str


@dataclass(frozen=True, slots=True)
class Command:
    """What a guardian asks for.

    Attributes:
        stamp: Its place in the cloud's order, with its id.
        kind: Its word, as the cloud has it.
        event: The event that it becomes (``states.events``); empty where this firmware knows none.
        fields: What the event carries besides the command's id.
        words: What is to be spoken, for ``say``.
        percent: For ``volume``.
        minutes: For ``extend``.
        toy_id: Which toy to become, for ``switchToy``.
        signature: Of a ``release``, if it has one.
        is_usable: Whether what its kind asks for is there and right.
    """

    stamp: Stamp
    kind: str
    event: str
    fields: Fields = field(default_factory=dict)
    words: str = field(default="", repr=False)
    percent: int = 0
    minutes: int = 0
    toy_id: str = ""
    signature: str = ""
    is_usable: bool = True

    @property
    def id(self) -> str:
        """Its id: what is acknowledged."""
        return self.stamp.command

    @classmethod
    def parse(cls, row: object) -> Command:
        """Check a row as the cloud sends it. Keys that are not known here are left alone.

        A row that can be named and put in order is returned, usable or not, because it is to be
        acknowledged.

        Raises:
            MalformedError: It has no id, time or kind that could be used. Nothing of it is in the
                text.
        """
        if not isinstance(row, dict):
            raise MalformedError("a command is no object")
        command_id, kind = row.get("commandId"), row.get("kind")
        if not isinstance(command_id, str) or not _ID.fullmatch(command_id):
            raise MalformedError(f"commandId must be an id of 1 to {ID_CHARS_MAX} characters")
        if not isinstance(kind, str):
            raise MalformedError("kind must be a text")
        stamp = Stamp(_number(row, "issuedAt", 0, ISSUED_MS_MAX), command_id)
        if kind not in _KINDS:
            return cls(stamp, "unknown", "")
        event, read = _KINDS[kind]
        command = cls(stamp, kind, event)
        try:
            return read(command, row)
        except MalformedError:
            return replace(command, is_usable=False)


def _number(row: Mapping[str, object], key: str, least: float, most: float) -> float:
    value = row.get(key)
    if isinstance(value, int | float) and not isinstance(value, bool):  # noqa: SIM102 - two questions
        if least <= value <= most:  # and so neither infinite nor no number
            return value
    raise MalformedError(f"{key} must be {least} to {most}")


def _text(row: Mapping[str, object], key: str, form: re.Pattern[str]) -> str:
    value = row.get(key)
    if isinstance(value, str) and form.fullmatch(value):
        return value
    raise MalformedError(f"{key} is missing or cannot be used")


_SPEAKABLE: Final = re.compile(rf"(?=\s*\S)[^\ud800-\udfff]{{1,{WORDS_CHARS_MAX}}}")

_Row = Mapping[str, object]
_Read = Callable[[Command, _Row], Command]


def _nothing(command: Command, _: _Row) -> Command:
    return command


def _pause(command: Command, row: _Row) -> Command:
    """Read how long; what is not usable pauses all the same, for the table's own time."""
    try:
        duration_s = _number(row, "durationS", 0, PAUSE_S_MAX)
    except MalformedError:
        duration_s = 0
    return replace(command, fields={"pause_ms": round(duration_s * 1000)})


def _release(command: Command, row: _Row) -> Command:
    try:
        signature = _text(row, "signature", _SIGNATURE)
    except MalformedError:
        signature = ""
    return replace(command, fields={"lock_id": _text(row, "lockId", _ID)}, signature=signature)


def _say(command: Command, row: _Row) -> Command:
    return replace(command, words=_text(row, "text", _SPEAKABLE))


def _volume(command: Command, row: _Row) -> Command:
    return replace(command, percent=round(_number(row, "percent", 0, PERCENT_MAX)))


def _extend(command: Command, row: _Row) -> Command:
    return replace(command, minutes=round(_number(row, "minutes", 1, EXTENSION_MINUTES_MAX)))


def _switch(command: Command, row: _Row) -> Command:
    return replace(command, toy_id=_text(row, "toyId", _VISIBLE))


_KINDS: Final[Mapping[str, tuple[str, _Read]]] = {
    "lock": ("lock", _nothing),
    "pause": ("pause", _pause),
    "release": ("unlock", _release),
    "stop": ("stop", _nothing),
    "say": ("say", _say),
    "volume": ("volume", _volume),
    "mute": ("mute", _nothing),
    "unmute": ("unmute", _nothing),
    "extend": ("extend", _extend),
    "reboot": ("reboot", _nothing),
    "switchToy": ("switch_toy", _switch),
    "update": ("update", _nothing),
    "erase": ("erase", _nothing),
    "export": ("export", _nothing),
}
"""The event that each kind becomes, and what reads the rest of its row."""
