"""What the tables are made of: a state, a row, an entry of the list of what is not acted on."""

from __future__ import annotations

from typing import Final, NamedTuple

from states.changes import Change
from states.effects import Do
from states.guards import Guard

HOME: Final = "home"
"""The only computed target: where a turn or a lock ends (``states.derive.home``)."""
STAY: Final = "stay"
"""The state it was in; nothing of it begins anew."""


class State(NamedTuple):
    """A leaf of the machine and what being in it means.

    ``microphone`` and ``speaker`` are what the state allows; availability may take the microphone
    away. ``timeout_ms`` counts from entering, and anew with ``timeout_speech_ms`` from the first
    speech. ``enters`` and ``leaves`` are effects of going in and out.
    """

    name: str
    light: str
    microphone: str
    speaker: str
    timeout_ms: int | None
    timeout_speech_ms: int | None
    enters: tuple[Do, ...]
    leaves: tuple[Do, ...]


class Row(NamedTuple):
    """A rule: at one of ``events``, from one of ``sources``, if all of ``when`` hold.

    Then memory is changed by ``then``, the machine goes to ``target``, and ``do`` is asked for.

    ``ends`` says how a turn ended, where the row ends one.
    """

    id: str
    events: tuple[str, ...]
    sources: tuple[str, ...]
    target: str
    when: tuple[Guard, ...]
    then: tuple[Change, ...]
    do: tuple[Do, ...]
    ends: str


class Unacted(NamedTuple):
    """Events that change nothing where they stand, and why; the wildcards of the table.

    ``verdict`` is ``ignored`` for what is expected and harmless, ``refused`` for what should not
    happen and is worth counting.
    """

    id: str
    verdict: str
    events: tuple[str, ...]
    sources: tuple[str, ...]
    why: str


def state(  # noqa: PLR0913 - one argument a column
    name: str,
    light: str,
    microphone: str,
    speaker: str,
    timeout_ms: int | None = None,
    *,
    speech_ms: int | None = None,
    enters: tuple[Do, ...] = (),
    leaves: tuple[Do, ...] = (),
) -> State:
    """Write a line of the table of states."""
    return State(
        name, light, microphone, speaker, timeout_ms, speech_ms or timeout_ms, enters, leaves
    )


def row(  # noqa: PLR0913 - one argument a column
    row_id: str,
    events: str,
    sources: tuple[str, ...],
    target: str,
    *,
    when: Guard | tuple[Guard, ...] = (),
    then: Change | tuple[Change, ...] = (),
    do: Do | tuple[Do, ...] = (),
    ends: str = "stopped",
) -> Row:
    """Write a line of the table of transitions; ``events`` are names separated by spaces."""
    return Row(
        row_id,
        tuple(events.split()),
        sources,
        target,
        when if isinstance(when, tuple) else (when,),
        then if isinstance(then, tuple) else (then,),
        do if isinstance(do, tuple) else (do,),
        ends,
    )


def ignore(entry_id: str, events: str, sources: tuple[str, ...], why: str) -> Unacted:
    """Write what is expected, harmless and changes nothing."""
    return Unacted(entry_id, "ignored", tuple(events.split()), sources, why)


def refuse(entry_id: str, events: str, sources: tuple[str, ...], why: str) -> Unacted:
    """Write what should not happen, changes nothing and is counted."""
    return Unacted(entry_id, "refused", tuple(events.split()), sources, why)
