"""Faults of single calls: what each may be set to, and which calls it meets.

In the control API each is true for all that stands as default below, its first field alone, or an
object of its fields; null or false ends it. Two fields are common to all: ``function``, the only
function whose calls it meets, and ``times``, after which it ends by itself. Uploads count as calls
of ``upload``. The audio stream counts as calls of ``stream``, and is met only by what names it::

    {"http_status": true}
    {"http_status": 500}
    {"commit_then_drop": {"function": "conversations:create", "times": 1}}
    {"garbage": {"function": "stream", "kind": "deep"}}
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple

from devcloud.errors import SettingsError, UnknownNameError
from devcloud.garbage import GARBAGE

if TYPE_CHECKING:
    from devcloud.json_text import JsonValue

UPLOAD: Final = "upload"
"""What an upload counts as where calls have the name of their function."""

STREAM: Final = "stream"
"""What the audio stream counts as: its upgrades and the messages to a device."""

TIMES_MAX: Final = 1_000_000
TEXT_CHARS_MAX: Final = 1000
BYTES_MAX: Final = 1 << 30
STATUS_LEAST: Final = 400
STATUS_MOST: Final = 599
REDIRECTS: Final = (307, 308)
"""The statuses that ask for the same call elsewhere, body and all."""


@dataclass(frozen=True, slots=True)
class CallFault:
    """A fault of calls that is in force; which of the later fields mean anything, the fault says.

    - ``function``: the only one whose calls it meets; None for all, the stream aside.
    - ``times``: how often it will still strike; None for ever.
    - ``status``: of the answer.
    - ``to``: the address that a redirect names.
    - ``kind``: which garbage, a key of ``devcloud.garbage.GARBAGE``.
    - ``after_bytes``: how much of a body is still read.
    """

    function: str | None = None
    times: int | None = None
    status: int | None = None
    to: str | None = None
    kind: str | None = None
    after_bytes: int | None = None

    def meets(self, function: str | None) -> bool:
        """Tell whether it strikes a call of a function."""
        return self.function == function or (self.function is None and function != STREAM)

    def after_strike(self) -> CallFault | None:
        """Say what is left of it when it has struck once more."""
        if self.times is None:
            return self
        return replace(self, times=self.times - 1) if self.times > 1 else None


def read(name: str, value: JsonValue) -> CallFault | None:
    """Read what a fault is set to; None when that ends it.

    Raises:
        SettingsError: it cannot be; the text names the fault and the field.
    """
    fields = _FAULTS[name]
    if value is None or value is False:
        return None
    if value is True:
        value = {}
    elif not isinstance(value, dict):
        if not fields:
            raise SettingsError(f"{name}: must be true, false, null or an object")
        value = {next(iter(fields)): value}
    known = {**fields, **_COMMON}
    for key, item in value.items():
        if key not in known:
            raise UnknownNameError(f"field of {name}", key, known)
        if not known[key].allows(item):
            raise SettingsError(f"{name}: {key} must be {known[key].wanted}")
    for key, field in fields.items():
        if key not in value and field.default is None:
            raise SettingsError(f"{name}: {key} is missing; it must be {field.wanted}")
    defaults = {key: field.default for key, field in fields.items()}
    # Checked above, field by field.
    return CallFault(**{**defaults, **value})  # type: ignore[arg-type]


class _Field(NamedTuple):
    """A field of a fault: what it may be, that in words, and what it is when left out."""

    allows: Callable[[JsonValue], bool]
    wanted: str
    default: int | str | None = None


def _whole(least: int, most: int, what: str, default: int | None = None) -> _Field:
    return _Field(
        lambda value: (
            isinstance(value, int) and not isinstance(value, bool) and least <= value <= most
        ),
        f"{least} to {most}{what}",
        default,
    )


def _is_text(value: JsonValue) -> bool:
    return isinstance(value, str) and 0 < len(value) <= TEXT_CHARS_MAX


def _is_address(value: JsonValue) -> bool:
    if not isinstance(value, str) or not _is_text(value):
        return False
    return value.isascii() and value.isprintable() and bool(urllib.parse.urlsplit(value).scheme)


_COMMON: Final[Mapping[str, _Field]] = {
    "function": _Field(
        _is_text, "the name of a function, as module:function, or 'upload' or 'stream'"
    ),
    "times": _whole(1, TIMES_MAX, " times"),
}

_FAULTS: Final[Mapping[str, Mapping[str, _Field]]] = {
    "http_status": {"status": _whole(STATUS_LEAST, STATUS_MOST, "", default=503)},
    "redirect": {
        "to": _Field(_is_address, "an address with its scheme"),
        "status": _whole(*REDIRECTS, "", default=REDIRECTS[0]),
    },
    "commit_then_drop": {},
    "duplicate_delivery": {},
    "garbage": {
        "kind": _Field(
            lambda value: isinstance(value, str) and value in GARBAGE,
            f"one of {', '.join(GARBAGE)}",
            default="text",
        ),
    },
    "expire_tokens": {},
    "expire_uploads": {},
    "cut_uploads": {"after_bytes": _whole(0, BYTES_MAX, " bytes", default=0)},
}

CALL_FAULTS: Final = frozenset(_FAULTS)
