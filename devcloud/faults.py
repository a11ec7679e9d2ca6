"""Faults on command: what the cloud does wrong on purpose, until it is told to stop.

A fault stays in force until it is changed; None, false or 0 ends it. How often each one struck is
counted, so that a test can tell a fault that was survived from one that never happened.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Final, NamedTuple

from devcloud.errors import SettingsError, UnknownNameError
from devcloud.network_faults import NetworkBoard

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from devcloud.json_text import JsonValue

CHUNKS_MAX: Final = 10_000
DELAY_MS_MAX: Final = 600_000


@dataclass(frozen=True, slots=True)
class Faults:
    """The faults in force.

    - ``cut_stream_after_chunks``: the stream's TCP connection is aborted when that many chunks with
      audio have arrived in an utterance.
    - ``cut_reply_after_packets``: it is aborted when that many packets of a reply were sent.
    - ``no_reply``: an utterance is heard to its end, and nothing is ever sent for it.
    - ``reply_delay_ms``: everything of a reply comes that much later.
    - ``refuse_auth``: ``auth:authenticateDevice`` answers BAD_SECRET to everybody, and the stream
      refuses every token with 401.
    """

    cut_stream_after_chunks: int | None = None
    cut_reply_after_packets: int | None = None
    no_reply: bool = False
    reply_delay_ms: int = 0
    refuse_auth: bool = False


class FaultBoard:
    """Where faults are set, read and counted.

    ``network`` has those of the network, which are set under that name and are rules of their own.
    """

    def __init__(self) -> None:
        self.now = Faults()
        self.network = NetworkBoard()
        self._struck: Counter[str] = Counter()

    def set(self, changes: Mapping[str, JsonValue]) -> None:
        """Change the faults that are named and leave the others.

        Raises:
            SettingsError: an unknown fault (the nearest known one is named), or a value that cannot
                be; nothing was changed.
        """
        single = {name: value for name, value in changes.items() if name != "network"}
        for name, value in single.items():
            if name not in _RULES:
                raise UnknownNameError("fault", name, [*_RULES, "network"])
            if not _RULES[name].allows(value):
                raise SettingsError(f"{name}: must be {_RULES[name].wanted}")
        network = self.network.check(changes["network"]) if "network" in changes else None
        # Checked above, field by field.
        self.now = replace(self.now, **single)  # type: ignore[arg-type]
        if network is not None:
            self.network.set(network)

    def struck(self, name: str) -> None:
        """Count that a fault was carried out."""
        self._struck[name] += 1

    def to_json(self) -> dict[str, object]:
        """Write them as the control API shows them: each fault, and how often each one struck."""
        return {
            **asdict(self.now),
            "network": self.network.to_json(),
            "struck": {
                **{field.name: self._struck[field.name] for field in fields(Faults)},
                "network": self.network.struck_to_json(),
            },
        }


class _Rule(NamedTuple):
    """What a fault may be set to, and that in words."""

    allows: Callable[[JsonValue], bool]
    wanted: str


def _is_switch(value: JsonValue) -> bool:
    return isinstance(value, bool)


def _is_whole(value: JsonValue, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


_SWITCH: Final = _Rule(_is_switch, "true or false")

_RULES: Final[Mapping[str, _Rule]] = {
    "cut_stream_after_chunks": _Rule(
        lambda value: value is None or _is_whole(value, 1, CHUNKS_MAX),
        f"null or 1 to {CHUNKS_MAX} chunks",
    ),
    "cut_reply_after_packets": _Rule(
        lambda value: value is None or _is_whole(value, 0, CHUNKS_MAX),
        f"null or 0 to {CHUNKS_MAX} packets",
    ),
    "no_reply": _SWITCH,
    "reply_delay_ms": _Rule(
        lambda value: _is_whole(value, 0, DELAY_MS_MAX), f"0 to {DELAY_MS_MAX} milliseconds"
    ),
    "refuse_auth": _SWITCH,
}
