"""The tables drawn: Mermaid state diagrams, made from the rows and from nothing else.

``overview`` shows the eight states and what moves the toy between them; ``detail`` every leaf and
every row that moves it. What leads to a state from everywhere stands in a note instead of in
twenty-odd arrows. A test keeps the copies that are checked in equal to what is drawn here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from states.derive import HOMES
from states.rows import HOME, STAY, Row
from states.table import ANY, FREE, ROWS, STATES

PARENTS: Final = tuple(dict.fromkeys(name.split(".")[0] for name in ANY))
START: Final = "boot.dark"
_LABELS_MAX: Final = 4


def overview() -> str:
    """Return the diagram of the eight states; ``home`` is where turns and locks end."""
    arrows: dict[tuple[str, str], dict[str, None]] = {}
    for row in _moving():
        target = row.target if row.target == HOME else _parent(row.target)
        for source in dict.fromkeys(map(_parent, row.sources)):
            if source != target and not (target == HOME and source == "idle"):
                arrows.setdefault((source, target), {}).update(dict.fromkeys(row.events))
    lines = ["stateDiagram-v2", "    direction LR", f"    [*] --> {PARENTS[0]}", *_home_lines()]
    lines += [
        f"    {source} --> {target}: {_label(events)}"
        for (source, target), events in arrows.items()
    ]
    return "\n".join([*lines, *_notes()]) + "\n"


def _home_lines() -> tuple[str, ...]:
    return (
        "    state home <<choice>>",
        "    home --> idle: online",
        "    home --> offline: no link or no tokens",
        "    home --> boot: no identity",
    )


def detail() -> str:
    """Return the diagram of every leaf, its light, and every row that moves the toy."""
    lines = ["stateDiagram-v2", f"    [*] --> {_id(START)}"]
    for parent in PARENTS:
        leaves = [state for state in STATES if _parent(state.name) == parent]
        if len(leaves) == 1:
            lines.append(f'    state "{parent} · {leaves[0].light}" as {_id(parent)}')
            continue
        lines.append(f"    state {parent} {{")
        lines += [
            f'        state "{s.name.split(".")[1]} · {s.light}" as {_id(s.name)}' for s in leaves
        ]
        lines.append("    }")
    lines.append("    state home <<choice>>")
    lines += [f"    home --> {_id(leaf)}" for leaf in HOMES]
    arrows: dict[tuple[str, str], list[str]] = {}
    for row in _moving():
        for source in _gathered(row.sources):
            if source != row.target:
                arrows.setdefault((source, row.target), []).append(row.id)
    lines += [
        f"    {_id(source)} --> {_id(target)}: {_label(ids)}"
        for (source, target), ids in arrows.items()
    ]
    return "\n".join([*lines, *_notes()]) + "\n"


def _moving() -> Iterator[Row]:
    """Yield the rows that are drawn as arrows: what moves the toy, but not from everywhere."""
    for row in ROWS:
        if row.target != STAY and not _from_everywhere(row):
            yield row


def _from_everywhere(row: Row) -> bool:
    return row.target != STAY and set(row.sources) >= set(FREE)


def _notes() -> Iterator[str]:
    targets: dict[str, dict[str, None]] = {}
    for row in filter(_from_everywhere, ROWS):
        targets.setdefault(_parent(row.target), {}).update(dict.fromkeys(row.events))
    for target, events in targets.items():
        yield f"    note right of {target}"
        yield "        From every state, in one step:"
        yield from (f"        {'third press' if event == 'press' else event}" for event in events)
        yield "    end note"


def _gathered(sources: Iterable[str]) -> Iterator[str]:
    """Yield sources, a parent in place of all its children."""
    left = dict.fromkeys(sources)
    for parent in PARENTS:
        children = [name for name in ANY if _parent(name) == parent]
        if len(children) > 1 and all(child in left for child in children):
            for child in children:
                del left[child]
            yield parent
    yield from left


def _label(names: Iterable[str]) -> str:
    names = list(names)
    shown = (
        names
        if len(names) <= _LABELS_MAX
        else [*names[: _LABELS_MAX - 1], f"and {len(names) - _LABELS_MAX + 1} more"]
    )
    return ", ".join(shown)


def _parent(leaf: str) -> str:
    return leaf.split(".", maxsplit=1)[0]


def _id(name: str) -> str:
    return name.replace(".", "_")
