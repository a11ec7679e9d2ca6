"""Faults of the network on command: what the relay in front of the cloud does to connections.

They are set beside the other faults, as ``network``: a list of rules, or one rule, or null for
none. A rule names whom it strikes and what it does; the strictest of several wins.

==========================  ========================================================================
``channel``                 ``all`` (if left out), ``http``, ``sync`` (the sync protocol) or
                            ``stream``. Told by the first line of a connection, hence ``all`` alone
                            with TLS, and for ``refuse``.
``direction``               ``both`` (if left out), ``up`` (to the cloud) or ``down``
``connections``             ``all`` (if left out), ``new`` or ``established`` when the rule was set
``latency_ms, jitter_ms``   bytes pass that much later, and up to ``jitter_ms`` more; in order.
                            Connecting itself takes no time: the kernel does that
``loss_percent``            how many of the segments (1,448 bytes) get lost. Over TCP the receiver
                            sees no loss but the time until it is sent again: 200 ms, doubled each
                            time that the same segment is lost again; all that follows waits too
``cut_after_bytes``         connections are reset once that many bytes have passed since the rule
                            was set; 0 is at once
``cut_connections_max``     … and so many connections at most; 1 is the next one
``half_open``               connections stay open, and nothing passes any more, not even their end,
                            for as long as they live, also after the rule: whoever was in between
                            has forgotten them. ``"connections": "established"`` lets new ones work.
``accept_and_stall``        new connections are accepted, and nothing is ever answered
``refuse``                  the port is closed
==========================  ========================================================================

How often each one struck is counted: pieces that came later, segments lost, connections that were
cut, went silent or were stalled, and how often the port was closed (who was refused, nobody knows).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

from devcloud.errors import SettingsError, UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from devcloud.json_text import JsonValue

RULES_MAX: Final = 16
DELAY_MS_MAX: Final = 600_000
PERCENT_MAX: Final = 100
COUNT_MAX: Final = 1 << 30

ALL: Final = "all"
CHANNELS: Final = (ALL, "http", "sync", "stream")
DIRECTIONS: Final = ("both", "up", "down")
CONNECTIONS: Final = (ALL, "established", "new")
STRIKES: Final = ("latency", "loss", "cut", "half_open", "accept_and_stall", "refuse")


@dataclass(frozen=True, slots=True)
class NetworkFault:
    """One rule; its fields are explained above."""

    channel: str = ALL
    direction: str = "both"
    connections: str = ALL
    latency_ms: float = 0
    jitter_ms: float = 0
    loss_percent: float = 0
    cut_after_bytes: int | None = None
    cut_connections_max: int | None = None
    half_open: bool = False
    accept_and_stall: bool = False
    refuse: bool = False

    def strikes(self, channel: str | None, direction: str, *, is_new: bool) -> bool:
        """Tell whether a direction of a connection is meant; ``channel`` None is not known yet."""
        return (
            self.channel in {ALL, channel}
            and self.direction in {"both", direction}
            and self.connections in {ALL, "new" if is_new else "established"}
        )


def parse(value: JsonValue) -> tuple[NetworkFault, ...]:
    """Read the rules as they are set.

    Raises:
        SettingsError: one of them cannot be; the text names what is wrong.
    """
    rules = value if isinstance(value, list) else [] if value is None else [value]
    if len(rules) > RULES_MAX:
        raise SettingsError(f"network: at most {RULES_MAX} rules")
    return tuple(map(_parse_rule, rules))


class NetworkBoard:
    """Where the rules are set, read and counted.

    ``watcher`` is called after each change, in the thread that made it. A rule that is set again
    goes on: who was new to it stays so.
    """

    def __init__(self) -> None:
        self.rules: tuple[NetworkFault, ...] = ()
        self.watcher: Callable[[], None] = _nobody
        self.channels_can_be_told = True
        self._generation = 0
        self._since: dict[NetworkFault, int] = {}
        self._struck: Counter[str] = Counter()
        self._cut: Counter[NetworkFault] = Counter()

    @property
    def generation(self) -> int:
        """How often the rules have been changed; a connection notes it when it is accepted."""
        return self._generation

    def check(self, value: JsonValue) -> tuple[NetworkFault, ...]:
        """Read rules without setting them.

        Raises:
            SettingsError: one of them cannot be, here.
        """
        rules = parse(value)
        if not self.channels_can_be_told and any(rule.channel != ALL for rule in rules):
            raise SettingsError("network: with TLS nobody can tell channels apart: channel is all")
        return rules

    def set(self, rules: tuple[NetworkFault, ...]) -> None:
        """Put rules in the place of those in force."""
        self._generation += 1
        self._since = {rule: self._since.get(rule, self._generation) for rule in rules}
        self._cut = Counter({rule: self._cut[rule] for rule in rules})
        self.rules = rules
        self.watcher()

    def is_new(self, rule: NetworkFault, accepted: int) -> bool:
        """Tell whether a connection of that generation came after the rule."""
        return accepted >= self._since.get(rule, 0)

    def struck(self, name: str, times: int = 1) -> None:
        """Count that a fault was carried out."""
        self._struck[name] += times

    def may_cut(self, rule: NetworkFault) -> bool:
        """Tell whether the rule has connections left to cut."""
        most = rule.cut_connections_max
        return rule.cut_after_bytes is not None and (most is None or self._cut[rule] < most)

    def cut(self, rule: NetworkFault) -> None:
        """Count a connection that the rule has cut."""
        self._cut[rule] += 1
        self.struck("cut")

    def to_json(self) -> list[dict[str, object]]:
        """Write the rules as the control API shows them."""
        return [asdict(rule) for rule in self.rules]

    def struck_to_json(self) -> dict[str, int]:
        """Write how often each fault struck."""
        return {name: self._struck[name] for name in STRIKES}


def _nobody() -> None:
    """Hear of a change where there is no relay."""


def _parse_rule(value: JsonValue) -> NetworkFault:
    if not isinstance(value, dict):
        raise SettingsError("network: a rule is an object")
    for name, given in value.items():
        if name not in _ALLOWED:
            raise UnknownNameError("field of a network fault", name, _ALLOWED)
        allows, wanted = _ALLOWED[name]
        if not allows(given):
            raise SettingsError(f"network: {name}: must be {wanted}")
    # Checked above, field by field.
    rule = NetworkFault(**value)  # type: ignore[arg-type]
    if rule.refuse and rule.channel != ALL:
        raise SettingsError("network: refuse: closes the port to all; channel is all")
    return rule


def _is_number(value: JsonValue, most: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= most


def _is_count(value: JsonValue, least: int) -> bool:
    if value is None:
        return True
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= COUNT_MAX


_Rule = tuple["Callable[[JsonValue], bool]", str]
_DELAY: Final[_Rule] = (
    lambda value: _is_number(value, DELAY_MS_MAX),
    f"0 to {DELAY_MS_MAX} milliseconds",
)
_SWITCH: Final[_Rule] = (lambda value: isinstance(value, bool), "true or false")

_ALLOWED: Final[Mapping[str, _Rule]] = {
    "channel": (lambda value: value in CHANNELS, f"one of {', '.join(CHANNELS)}"),
    "direction": (lambda value: value in DIRECTIONS, f"one of {', '.join(DIRECTIONS)}"),
    "connections": (lambda value: value in CONNECTIONS, f"one of {', '.join(CONNECTIONS)}"),
    "latency_ms": _DELAY,
    "jitter_ms": _DELAY,
    "loss_percent": (
        lambda value: _is_number(value, PERCENT_MAX),
        f"0 to {PERCENT_MAX} percent",
    ),
    "cut_after_bytes": (lambda value: _is_count(value, 0), "null or a number of bytes"),
    "cut_connections_max": (lambda value: _is_count(value, 1), "null or 1 or more connections"),
    "half_open": _SWITCH,
    "accept_and_stall": _SWITCH,
    "refuse": _SWITCH,
}
