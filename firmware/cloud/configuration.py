"""A toy's configuration: what ``toys:getConfiguration`` returns, checked once and for all."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from datetime import time
from typing import TYPE_CHECKING, Final, Literal, TypeVar, get_args
from urllib.parse import urlsplit

from firmware.cloud.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

TEXT_CHARS_MAX: Final = 200
URL_CHARS_MAX: Final = 2_048
TOPICS_MAX: Final = 200
DAY_MINUTES: Final = 24 * 60
PERCENT_MAX: Final = 100
VERSION_MAX: Final = 2**53
"""Where the floats in which Convex sends whole numbers stop being exact."""

SafetyLevel = Literal["relaxed", "moderate", "strict"]

_SAFETY_LEVELS: Final[tuple[SafetyLevel, ...]] = get_args(SafetyLevel)  # loosest first

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Consent:
    """What the guardian agrees to. Nothing is agreed to by silence."""

    listen: bool
    store_audio: bool
    store_transcripts: bool

    def tightened(self, new: Consent) -> Consent:
        """Return what both agree to."""
        return Consent(
            self.listen and new.listen,
            self.store_audio and new.store_audio,
            self.store_transcripts and new.store_transcripts,
        )


@dataclass(frozen=True, slots=True)
class QuietHours:
    """When the toy sleeps, in its local time; the end may lie on the next day."""

    start: time
    end: time


@dataclass(frozen=True, slots=True)
class WakeWordModel:
    """A wake word given as a model: where to fetch it, and what must arrive (hexadecimal)."""

    url: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ToyConfiguration:
    """What a guardian has decided about a toy: one version of it, whole.

    ``volume_limit_percent`` is 0 to 100 of full volume; ``daily_play_minutes`` None means no limit.
    ``unknown_keys`` counts the keys that the cloud sent and this firmware does not know. Words that
    a family chose are in no representation of it.
    """

    version: int
    name: str = field(repr=False)
    wake_word: str | WakeWordModel = field(repr=False)
    wake_word_enabled: bool
    wake_word_barge_in: bool
    continued_conversation: bool
    voice: str
    volume_limit_percent: float
    quiet_hours: QuietHours | None
    daily_play_minutes: float | None
    safety_level: SafetyLevel
    allowed_topics: tuple[str, ...] = field(repr=False)
    blocked_topics: tuple[str, ...] = field(repr=False)
    consent: Consent
    unknown_keys: int = field(compare=False)

    @classmethod
    def parse(cls, value: object) -> ToyConfiguration:
        """Check a configuration as the cloud sends it, or as the cache holds it.

        Every key that is known must be there and be right; others are counted and left to newer
        firmware.

        Raises:
            ConfigurationError: It cannot be used; ``key`` names what is wrong.
        """
        top = _Object(value, "")
        return cls(
            version=top.get("version", _version),
            name=top.get("name", _text),
            wake_word=top.get("wakeWord", _wake_word),
            wake_word_enabled=top.get("wakeWordEnabled", _flag),
            wake_word_barge_in=top.get("wakeWordBargeIn", _flag),
            continued_conversation=top.get("continuedConversation", _flag),
            voice=top.get("voice", _text),
            volume_limit_percent=top.get("volumeLimit", _percent),
            quiet_hours=top.get("quietHours", _quiet_hours),
            daily_play_minutes=top.get("dailyPlayMinutes", _minutes),
            safety_level=top.get("safetyLevel", _safety_level),
            allowed_topics=top.get("allowedTopics", _topics),
            blocked_topics=top.get("blockedTopics", _topics),
            consent=top.get("consent", _consent),
            unknown_keys=top.unread(),  # the last one: all others were asked for
        )

    def tightened(self, new: ToyConfiguration) -> ToyConfiguration:
        """Return this configuration with all that `new` makes stricter, and nothing else of it.

        It is what holds in the middle of a turn: a lower volume takes effect there, a louder one
        waits. New quiet hours count as stricter and the end of quiet hours as looser. Topics that
        are newly allowed or no longer allowed wait: only the cloud acts on them, and it knows.
        """
        minutes = [m for m in (self.daily_play_minutes, new.daily_play_minutes) if m is not None]
        newly_blocked = tuple(t for t in new.blocked_topics if t not in self.blocked_topics)
        return replace(
            self,
            volume_limit_percent=min(self.volume_limit_percent, new.volume_limit_percent),
            quiet_hours=new.quiet_hours or self.quiet_hours,
            daily_play_minutes=min(minutes, default=None),
            safety_level=max(self.safety_level, new.safety_level, key=_SAFETY_LEVELS.index),
            blocked_topics=self.blocked_topics + newly_blocked,
            consent=self.consent.tightened(new.consent),
        )


class _Object:
    """An object of the configuration, whose keys are taken out one by one.

    Args:
        value: What was sent in its place.
        where: Its key; empty for the whole.
    """

    def __init__(self, value: object, where: str) -> None:
        if not isinstance(value, dict):
            raise ConfigurationError(where or "the whole", "an object")
        self._value = value
        self._where = where
        self._read: set[str] = set()

    def get(self, key: str, check: Callable[[object, str], _T]) -> _T:
        """Return what `check` makes of the key's value and its dotted name."""
        name = f"{self._where}.{key}" if self._where else key
        if key not in self._value:
            raise ConfigurationError(name, "there")
        self._read.add(key)
        return check(self._value[key], name)

    def unread(self) -> int:
        """Count the keys that nobody asked for."""
        return len(self._value.keys() - self._read)


# Control characters could forge log lines; surrogates without a partner cannot be written at all.
_UNSPEAKABLE: Final = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_CLOCK_TIME: Final = re.compile("([01][0-9]|2[0-3]):[0-5][0-9]")
_SHA256: Final = re.compile("[0-9a-f]{64}")


def _flag(value: object, key: str) -> bool:
    if isinstance(value, bool):
        return value
    raise ConfigurationError(key, "true or false")


def _text(value: object, key: str) -> str:
    if isinstance(value, str) and 0 < len(value) <= TEXT_CHARS_MAX:  # noqa: SIM102 - length first: the search costs
        if not _UNSPEAKABLE.search(value):
            return value
    raise ConfigurationError(key, f"1 to {TEXT_CHARS_MAX} characters, without control characters")


def _number(value: object, key: str, most: float, unit: str) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= most:
        return value
    raise ConfigurationError(key, f"a number from 0 to {most:g}{unit}")


def _percent(value: object, key: str) -> float:
    return _number(value, key, PERCENT_MAX, " percent")


def _minutes(value: object, key: str) -> float | None:
    return None if value is None else _number(value, key, DAY_MINUTES, " minutes, or null")


def _version(value: object, key: str) -> int:
    version = _number(value, key, VERSION_MAX, "")
    if version == int(version):
        return int(version)
    raise ConfigurationError(key, "a whole number")


def _safety_level(value: object, key: str) -> SafetyLevel:
    for level in _SAFETY_LEVELS:
        if value == level:
            return level
    raise ConfigurationError(key, f"one of {', '.join(_SAFETY_LEVELS)}")


def _topics(value: object, key: str) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > TOPICS_MAX:
        raise ConfigurationError(key, f"a list of at most {TOPICS_MAX} topics")
    return tuple(_text(topic, f"{key}[{index}]") for index, topic in enumerate(value))


def _time(value: object, key: str) -> time:
    if isinstance(value, str) and _CLOCK_TIME.fullmatch(value):
        return time.fromisoformat(value)
    raise ConfigurationError(key, "a time of day as HH:MM")


def _quiet_hours(value: object, key: str) -> QuietHours | None:
    if value is None:
        return None
    hours = _Object(value, key)
    return QuietHours(hours.get("start", _time), hours.get("end", _time))


def _consent(value: object, key: str) -> Consent:
    consent = _Object(value, key)
    return Consent(
        consent.get("listen", _flag),
        consent.get("storeAudio", _flag),
        consent.get("storeTranscripts", _flag),
    )


def _wake_word(value: object, key: str) -> str | WakeWordModel:
    if isinstance(value, dict):
        model = _Object(value, key)
        return WakeWordModel(model.get("url", _https_url), model.get("sha256", _sha256))
    return _text(value, key)


def _https_url(value: object, key: str) -> str:
    if isinstance(value, str) and len(value) <= URL_CHARS_MAX and value.isprintable():
        try:
            parts = urlsplit(value)
        except ValueError:
            parts = urlsplit("")
        if parts.scheme == "https" and parts.hostname:
            return value
    raise ConfigurationError(key, f"an https address of at most {URL_CHARS_MAX} characters")


def _sha256(value: object, key: str) -> str:
    if isinstance(value, str) and _SHA256.fullmatch(value):
        return value
    raise ConfigurationError(key, "64 hexadecimal digits, in lower case")
