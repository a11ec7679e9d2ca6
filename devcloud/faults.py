"""Faults on command: what the cloud does wrong on purpose, until it is told to stop.

A fault stays in force until it is changed; None, false or 0 ends it. How often each one struck is
counted, so that a test can tell a fault that was survived from one that never happened.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Final, NamedTuple

from devcloud import call_faults
from devcloud.call_faults import CALL_FAULTS, CallFault
from devcloud.errors import SettingsError, UnknownNameError
from devcloud.network_faults import NetworkBoard
from devcloud.settings import TOKEN_LIFETIME_S_MAX

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from devcloud.json_text import JsonValue

CHUNKS_MAX: Final = 10_000
DELAY_MS_MAX: Final = 600_000
JITTER_MS_MAX: Final = 10_000
SEED_MAX: Final = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Faults:
    """The faults in force.

    - ``cut_stream_after_chunks``: the stream's TCP connection is aborted when that many chunks with
      audio have arrived in an utterance.
    - ``cut_reply_after_packets``: it is aborted when that many packets of a reply were sent.
    - ``no_reply``: an utterance is heard to its end, and nothing is ever sent for it.
    - ``reply_delay_ms``: everything of a reply comes that much later.
    - ``reply_loss_percent``: so many of a reply's Opus packets never come.
    - ``reply_reorder_percent``: so many come behind the one that follows.
    - ``reply_jitter_ms``: each comes up to so much later than it is due, and none before the one
      ahead of it.
    - ``reply_fault_seed``: what those three are drawn by. The same packets are struck in every
      reply, until another number is given. It strikes nothing itself.
    - ``refuse_auth``: ``auth:authenticateDevice`` answers BAD_SECRET to everybody, and the stream
      refuses every token with 401.

    Those of calls may be limited to a function and to a number of times; how they are written is in
    ``devcloud.call_faults``. Uploads are calls of ``upload`` here. The audio stream is met by four
    of them, and only where they name the function ``stream``.

    - ``http_status``: calls over HTTP are answered with that status, and not carried out; of the
      stream, upgrades.
    - ``redirect``: they are sent elsewhere with 307 or 308, and not carried out here.
    - ``commit_then_drop``: mutations, actions and uploads are carried out, over HTTP or the sync
      socket, and the connection is aborted in place of an answer. Like the next two, it strikes
      only what succeeds: to a call that fails, or is refused, the answer is given.
    - ``duplicate_delivery``: mutations are carried out twice. Over HTTP, the second answer is
      given; over the sync socket the first, and what a transition says is said again by a second
      one. Over the stream, each message to a device is sent twice.
    - ``garbage``: calls are carried out, and the answer is none; over the sync socket, so is what
      follows a subscription to that function. Over the stream, it comes behind each piece of a
      reply: as text, and in the binary dialect once more as a binary message.
    - ``expire_tokens``: every token that is shown counts as expired, over HTTP, sync socket and
      stream, fresh ones too; it asks for no function. An open stream outlives it, as it outlives
      any token that expires: existing gateways look at the token of the upgrade, and a device has
      no message to show another in. To end one, revoke tokens or ``expel``.
    - ``token_lifetime_s``: the tokens that are issued last so many seconds; null for as long as the
      settings say.
    - ``expire_uploads``: upload URLs count as expired.
    - ``cut_uploads``: the connection is aborted when so many bytes of an upload have come.
    """

    cut_stream_after_chunks: int | None = None
    cut_reply_after_packets: int | None = None
    no_reply: bool = False
    reply_delay_ms: int = 0
    reply_loss_percent: int = 0
    reply_reorder_percent: int = 0
    reply_jitter_ms: int = 0
    reply_fault_seed: int = 0
    refuse_auth: bool = False

    http_status: CallFault | None = None
    redirect: CallFault | None = None
    commit_then_drop: CallFault | None = None
    duplicate_delivery: CallFault | None = None
    garbage: CallFault | None = None
    expire_tokens: CallFault | None = None
    token_lifetime_s: float | None = None
    expire_uploads: CallFault | None = None
    cut_uploads: CallFault | None = None


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
        single: dict[str, JsonValue | CallFault] = {}
        for name, value in changes.items():
            if name in CALL_FAULTS:
                single[name] = call_faults.read(name, value)
            elif name in _RULES:
                if not _RULES[name].allows(value):
                    raise SettingsError(f"{name}: must be {_RULES[name].wanted}")
                single[name] = value
            elif name != "network":
                raise UnknownNameError("fault", name, [*_RULES, *CALL_FAULTS, "network"])
        network = self.network.check(changes["network"]) if "network" in changes else None
        # Checked above, field by field.
        self.now = replace(self.now, **single)  # type: ignore[arg-type]
        if network is not None:
            self.network.set(network)

    def clear(self) -> None:
        """End them all; what has been counted stays."""
        self.now = Faults()
        self.network.set(())

    @property
    def disrupt_calls(self) -> bool:
        """Whether any fault of calls is in force."""
        return any(getattr(self.now, name) for name in CALL_FAULTS)

    def strike(self, name: str, function: str | None = None) -> CallFault | None:
        """Take the fault of calls that is to be carried out now, if there is one, and count it.

        ``function`` is what is called, as ``module:function``; None for what is no call.
        """
        fault: CallFault | None = getattr(self.now, name)
        if fault is None or not fault.meets(function):
            return None
        self.now = replace(self.now, **{name: fault.after_strike()})  # type: ignore[arg-type]
        self.struck(name)
        return fault

    def struck(self, name: str) -> None:
        """Count that a fault was carried out."""
        self._struck[name] += 1

    def count(self, name: str) -> int:
        """Say how often a fault was carried out."""
        return self._struck[name]

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


def _is_lifetime(value: JsonValue) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return 0 < value <= TOKEN_LIFETIME_S_MAX


_SWITCH: Final = _Rule(_is_switch, "true or false")
_PERCENT: Final = _Rule(lambda value: _is_whole(value, 0, 100), "0 to 100 percent")

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
    "reply_loss_percent": _PERCENT,
    "reply_reorder_percent": _PERCENT,
    "reply_jitter_ms": _Rule(
        lambda value: _is_whole(value, 0, JITTER_MS_MAX), f"0 to {JITTER_MS_MAX} milliseconds"
    ),
    "reply_fault_seed": _Rule(
        lambda value: _is_whole(value, 0, SEED_MAX), f"a whole number from 0 to {SEED_MAX}"
    ),
    "refuse_auth": _SWITCH,
    "token_lifetime_s": _Rule(
        lambda value: value is None or _is_lifetime(value),
        f"null or above 0 and at most {TOKEN_LIFETIME_S_MAX:.0f} seconds",
    ),
}
