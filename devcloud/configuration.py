"""A toy's configuration: its fields, what each may be, and how a change is merged in.

The fields are those that ``toys:getConfiguration`` returns. ``volumeLimit`` is in percent of full
volume, ``dailyPlayMinutes`` in minutes (null: no limit), ``quietHours`` null or ``start`` and
``end`` as ``HH:MM`` of the toy's local time (the end may lie on the next day).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from devcloud.errors import SettingsError, UnknownNameError

if TYPE_CHECKING:
    from devcloud.values import ConvexObject, ConvexValue

TEXT_CHARS_MAX: Final = 200
TOPICS_MAX: Final = 100
PERCENT_MAX: Final = 100
DAY_MINUTES: Final = 24 * 60
SAFETY_LEVELS: Final = ("strict", "moderate", "relaxed")
CONSENTS: Final = ("listen", "storeAudio", "storeTranscripts")
VERSION: Final = "version"

_CLOCK_TIME: Final = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")


class _Field(NamedTuple):
    """One field: what a new toy has, what may stand there, and that in words."""

    default: ConvexValue
    allows: Callable[[ConvexValue], bool]
    wanted: str


def initial_configuration() -> ConvexObject:
    """Make the configuration of a toy that its parent has just set up."""
    return {**{name: field.default for name, field in _FIELDS.items()}, VERSION: 1.0}


def merge(configuration: ConvexObject, changes: ConvexObject) -> ConvexObject:
    """Make the next version of a configuration.

    ``changes`` holds the fields that change. ``consent`` may name some of its three and leaves the
    others as they are; every other field is replaced whole. ``version`` rises by one.

    Raises:
        SettingsError: an unknown field (the nearest known one is named), or a value that cannot be.
    """
    merged = dict(configuration)
    for name, change in changes.items():
        field = _FIELDS.get(name)
        if field is None:
            raise UnknownNameError("configuration field", name, _FIELDS)
        value = change
        before = configuration[name]
        if isinstance(before, Mapping) and isinstance(change, Mapping) and name == "consent":
            value = {**before, **change}
        if not field.allows(value):
            raise SettingsError(f"{name}: must be {field.wanted}")
        merged[name] = value
    version = configuration[VERSION]
    assert isinstance(version, float)  # noqa: S101 - ours since initial_configuration
    merged[VERSION] = version + 1
    return merged


def _is_switch(value: ConvexValue) -> bool:
    return isinstance(value, bool)


def _is_text(value: ConvexValue) -> bool:
    return isinstance(value, str) and 0 < len(value) <= TEXT_CHARS_MAX


def _is_percent(value: ConvexValue) -> bool:
    return isinstance(value, float) and 0 <= value <= PERCENT_MAX


def _is_minutes(value: ConvexValue) -> bool:
    return value is None or (isinstance(value, float) and 0 <= value <= DAY_MINUTES)


def _is_safety_level(value: ConvexValue) -> bool:
    return value in SAFETY_LEVELS


def _is_topics(value: ConvexValue) -> bool:
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        return False
    return len(value) <= TOPICS_MAX and all(_is_text(topic) for topic in value)


def _is_quiet_hours(value: ConvexValue) -> bool:
    if value is None:
        return True
    if not isinstance(value, Mapping) or set(value) != {"start", "end"}:
        return False
    return all(isinstance(time, str) and _CLOCK_TIME.fullmatch(time) for time in value.values())


def _is_consent(value: ConvexValue) -> bool:
    if not isinstance(value, Mapping) or set(value) != set(CONSENTS):
        return False
    return all(isinstance(given, bool) for given in value.values())


_SWITCH: Final = "true or false"
_TEXT: Final = f"1 to {TEXT_CHARS_MAX} characters"
_TOPICS: Final = f"a list of at most {TOPICS_MAX} topics"

_FIELDS: Final[Mapping[str, _Field]] = {
    "name": _Field("Pommai", _is_text, _TEXT),
    # A stock word of the devices: another would keep each of them busy for minutes, trying it.
    "wakeWord": _Field("alexa", _is_text, _TEXT),
    "wakeWordEnabled": _Field(default=True, allows=_is_switch, wanted=_SWITCH),
    "wakeWordBargeIn": _Field(default=True, allows=_is_switch, wanted=_SWITCH),
    "continuedConversation": _Field(default=False, allows=_is_switch, wanted=_SWITCH),
    "voice": _Field("en-us", _is_text, _TEXT),
    "volumeLimit": _Field(80.0, _is_percent, f"0 to {PERCENT_MAX} percent"),
    "quietHours": _Field(None, _is_quiet_hours, 'null or {"start": "HH:MM", "end": "HH:MM"}'),
    "dailyPlayMinutes": _Field(None, _is_minutes, f"null or 0 to {DAY_MINUTES} minutes"),
    "safetyLevel": _Field("strict", _is_safety_level, f"one of {', '.join(SAFETY_LEVELS)}"),
    "allowedTopics": _Field((), _is_topics, _TOPICS),
    "blockedTopics": _Field((), _is_topics, _TOPICS),
    "consent": _Field(
        # What a parent agrees to by setting the toy up, and no more.
        {"listen": True, "storeAudio": False, "storeTranscripts": False},
        _is_consent,
        f"an object of {', '.join(CONSENTS)}, each {_SWITCH}",
    ),
}
