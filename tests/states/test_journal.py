"""The journal: what was recorded is read back, and what was not recorded is not believed."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from states.context import Context, Lock
from states.derive import Situation
from states.effects import Effect
from states.errors import BrokenJournal, ForeignJournal, JournalError
from states.events import Event
from states.journal import (
    FORMAT,
    LINE_CHARACTERS_MAX,
    Recorder,
    decoded_context,
    encoded_context,
    read,
)
from states.machine import START, Core, Step
from tests.states.recording import (
    beheadings,
    chained,
    header,
    header_body,
    lines_of,
    step_body,
    strolled,
    without_line,
)

STEPS: Final = 6
Lines = list[str]


@pytest.fixture(scope="module")
def lines() -> Lines:
    """A header and six steps, as a device writes them."""
    return lines_of(strolled(1, STEPS))


# -- What was recorded is read back.
@pytest.mark.parametrize("seed", range(8))
def test_a_stroll_is_read_back_as_it_was_recorded(seed: int) -> None:
    """Header, events, rows, targets and effects survive; so does their order."""
    steps = strolled(seed, 300)
    journal = read(lines_of(steps))
    assert [entry.step for entry in journal.entries] == steps
    assert [entry.seq for entry in journal.entries] == list(range(1, 301))
    assert [entry.line for entry in journal.entries] == list(range(2, 302))
    assert journal.header == header()
    assert not journal.torn


def test_newlines_make_no_difference(lines: Lines) -> None:
    """A reader may hand over lines with newlines of either kind, or without."""
    bare = [line.rstrip("\n") for line in lines]
    assert read(bare) == read(lines) == read([line + "\r\n" for line in bare])


def test_a_journal_can_begin_anywhere() -> None:
    """It rotates by size, with the situation at the head of each file."""
    core = Core()
    for event in (Event("started", id="e1"), Event("emergency_stop", {"command": "g1"}, "e2")):
        core.step(event)
    situation = core.situation
    assert situation.context.lock is not None
    step = core.step(Event("press", id="e3"))
    journal = read(lines_of([step], situation))
    assert journal.header.situation == situation
    assert journal.entries[0].step == step


def test_a_header_alone_is_a_journal() -> None:
    """Power may be lost before the first step."""
    journal = read(lines_of([]))
    assert (journal.entries, journal.torn) == ((), False)


def test_refused_and_ignored_events_are_recorded_too() -> None:
    """What was not acted on is part of what happened."""
    core = Core()
    steps = [core.step(Event("release", id="e1")), core.step(Event("no_such_event", {"n": 1}))]
    rows = [entry.step.row for entry in read(lines_of(steps)).entries]
    assert rows == ["ignored:release.alone", "refused:unknown"]


def test_a_record_is_one_line_of_ascii() -> None:
    """Any tool can cut, count and show the lines."""
    recorder = Recorder()
    recorder.header(header())
    event = Event("no_such_event", {"word": "é\n\u2028"}, "e1")
    line = recorder.line(Step(event, "auth", "refused:unknown", "auth", ()))
    assert line.isascii()
    assert line.splitlines() == [line]


def test_a_line_names_everything_that_a_step_has(lines: Lines) -> None:
    """Sequence, time, event with payload, from, row, to, effects, previous hash, own hash."""
    record = json.loads(lines[-1])
    assert list(record) == ["seq", "ms", "event", "from", "row", "to", "effects", "prev", "hash"]
    assert record["prev"] == json.loads(lines[-2])["hash"]


@pytest.mark.parametrize(
    "context",
    [
        Context(),
        Context(identity=True, lock=Lock("a1", "pause", 300_000, "press", None, durable=True)),
        Context(identity=False, timers=(("hold", 3), ("state", 4)), armings=4, turn=9),
    ],
)
def test_a_context_survives_json(context: Context) -> None:
    """What the header holds is the context itself, types included."""
    through = json.loads(json.dumps(encoded_context(context)))
    assert decoded_context(through) == context
    assert Core(Situation("auth", decoded_context(through))).situation.context == context


def test_a_context_of_other_fields_is_refused() -> None:
    """A snapshot of another version of the memory is not quietly taken for ours."""
    with pytest.raises(TypeError, match="mood"):
        decoded_context({"mood": "cheerful"})


# -- What was tampered with is not believed, and the line is named.
def with_other(lines: Lines, index: int, old: str, new: str) -> Lines:
    """Return ``lines`` with one text replaced in one of them."""
    assert old in lines[index]
    return [
        line.replace(old, new, 1) if number == index else line for number, line in enumerate(lines)
    ]


def with_swapped(lines: Lines, index: int) -> Lines:
    """Return ``lines`` with one and the next changing places."""
    return [*lines[:index], lines[index + 1], lines[index], *lines[index + 2 :]]


def with_other_hash(lines: Lines, index: int) -> Lines:
    """Return ``lines`` with the last digit of one hash turned."""
    digit = lines[index][-4]
    other = "1" if digit == "0" else "0"
    changed = f'{lines[index][:-4]}{other}"}}\n'
    return [changed if number == index else line for number, line in enumerate(lines)]


MIDDLE, LAST = 3, STEPS
TAMPERINGS: Final[dict[str, tuple[Callable[[Lines], Lines], int, str]]] = {
    "a step's time altered": (lambda ls: with_other(ls, 1, '"ms":', '"ms":1'), 2, "was altered"),
    "a middle line altered": (
        lambda ls: with_other(ls, MIDDLE, '"from":"', '"from":"x'),
        MIDDLE + 1,
        "was altered",
    ),
    "the last line altered": (
        lambda ls: with_other(ls, LAST, '"row":"', '"row":"x'),
        LAST + 1,
        "was altered",
    ),
    "a space added": (lambda ls: with_other(ls, MIDDLE, ",", ", "), MIDDLE + 1, "was altered"),
    "a middle line removed": (lambda ls: without_line(ls, MIDDLE), MIDDLE + 1, "does not follow"),
    "the first step removed": (lambda ls: without_line(ls, 1), 2, "does not follow"),
    "two lines swapped": (lambda ls: with_swapped(ls, MIDDLE), MIDDLE + 1, "does not follow"),
    "a line twice": (
        lambda ls: [*ls[: MIDDLE + 1], *ls[MIDDLE:]],
        MIDDLE + 2,
        "does not follow",
    ),
    "the last line twice": (lambda ls: [*ls, ls[-1]], LAST + 2, "does not follow"),
    "an old line appended": (lambda ls: [*ls, ls[MIDDLE]], LAST + 2, "does not follow"),
    "a second header": (lambda ls: [*ls, ls[0]], LAST + 2, "does not follow"),
    "a middle hash changed": (
        lambda ls: with_other_hash(ls, MIDDLE),
        MIDDLE + 1,
        "was altered",
    ),
    "the last hash changed": (lambda ls: with_other_hash(ls, LAST), LAST + 1, "was altered"),
    "an empty line between": (
        lambda ls: [*ls[:MIDDLE], "\n", *ls[MIDDLE:]],
        MIDDLE + 1,
        "is not JSON",
    ),
    "an empty line at the end": (lambda ls: [*ls, "\n"], LAST + 2, "is not JSON"),
    "rubbish appended": (lambda ls: [*ls, "\x00\x17\n"], LAST + 2, "is not JSON"),
    "rubbish that is no ASCII appended": (
        lambda ls: [*ls, "\x00\x17\ufffd\n"],
        LAST + 2,
        "is not JSON",
    ),
    "a list appended": (lambda ls: [*ls, "[]\n"], LAST + 2, "is no record"),
    "a record of nothing appended": (lambda ls: [*ls, "{}\n"], LAST + 2, "does not follow"),
    "a middle line cut short": (
        lambda ls: [*ls[:MIDDLE], ls[MIDDLE][:40], *ls[MIDDLE + 1 :]],
        MIDDLE + 1,
        "cut short, and it is not the last",
    ),
    "a middle line cut short and ended": (
        lambda ls: [*ls[:MIDDLE], ls[MIDDLE][:40] + "\n", *ls[MIDDLE + 1 :]],
        MIDDLE + 1,
        "is not JSON",
    ),
    "a huge line appended": (
        lambda ls: [*ls, "x" * (LINE_CHARACTERS_MAX + 1)],
        LAST + 2,
        "is longer than 65536 characters",
    ),
    "deep lists appended": (lambda ls: [*ls, "[" * 60_000 + "\n"], LAST + 2, "is not JSON"),
    "deep records appended": (lambda ls: [*ls, '{"a":' * 10_000 + "\n"], LAST + 2, "is not JSON"),
    "a number of 5,000 digits appended": (
        lambda ls: [*ls, '{"seq":' + "1" * 5_000 + "}\n"],
        LAST + 2,
        "is not JSON",
    ),
}


@pytest.mark.parametrize(("tampered", "line", "says"), TAMPERINGS.values(), ids=TAMPERINGS)
def test_tampering_is_found_and_its_line_named(
    lines: Lines, tampered: Callable[[Lines], Lines], line: int, says: str
) -> None:
    """No line can be altered, left out, added or moved unseen, not even the last."""
    with pytest.raises(BrokenJournal, match=says) as caught:
        read(tampered(lines))
    assert caught.value.line == line
    assert f"line {line}" in str(caught.value)


def test_every_character_of_a_line_is_protected(lines: Lines) -> None:
    """Whatever single character of the last line is changed, it is noticed."""
    last = lines[-1].rstrip("\n")
    for place, character in enumerate(last):
        other = "1" if character == "0" else "0"
        changed = f"{last[:place]}{other}{last[place + 1 :]}\n"
        with pytest.raises(BrokenJournal) as caught:
            read([*lines[:-1], changed])
        assert caught.value.line == LAST + 1


HEADERS: Final[dict[str, tuple[Callable[[Lines], Lines], str]]] = {
    "nothing at all": (lambda _: [], "no complete first line"),
    "one empty line": (lambda _: ["\n"], "line 1 is not JSON"),
    "nothing but a newline lost": (lambda _: [""], "line 1 is not JSON"),
    "cut short in the header": (lambda ls: [ls[0][:100]], "no complete first line"),
    "binary rubbish": (lambda _: ["\x7fELF\x02\x01\x01\x00\n"], "line 1 is not JSON"),
    "a picture": (lambda _: ["\x89PNG\r\n"], "is not JSON"),
    "an archive without newlines": (lambda _: ["PK\x03\x04"], "no complete first line"),
    "a text": (lambda _: ["Dear diary,\n"], "line 1 is not JSON"),
    "a list": (lambda _: ["[1]\n"], "line 1 is no record"),
    "other JSON lines": (lambda _: ['{"level":"info"}\n'], "does not follow"),
    "a huge first line": (
        lambda _: ["{" * (LINE_CHARACTERS_MAX + 1)],
        "is longer than 65536 characters",
    ),
    "the header removed": (lambda ls: ls[1:], "does not follow"),
    "the header altered": (
        lambda ls: with_other(ls, 0, '"commit":"', '"commit":"x'),
        "was altered",
    ),
    "the header's hash changed": (lambda ls: with_other_hash(ls, 0), "was altered"),
    "a step before the header": (lambda _: chained([step_body()]), "the format is None"),
    "a later format": (
        lambda _: chained([header_body(pommai_journal=FORMAT + 1)]),
        f"the format is {FORMAT + 1}; this code reads format {FORMAT}",
    ),
    "an older format": (lambda _: chained([header_body(pommai_journal=0)]), "the format is 0"),
    "a format in words": (
        lambda _: chained([header_body(pommai_journal="1")]),
        "the format is '1'",
    ),
    "no commit": (
        lambda _: chained([without_key(header_body(), "commit")]),
        "not complete: KeyError.*commit",
    ),
    "rows in a list": (lambda _: chained([header_body(rows=[])]), "not complete"),
    "a context of text": (lambda _: chained([header_body(context="awake")]), "not complete"),
    "a context in a list": (lambda _: chained([header_body(context=["awake"])]), "not complete"),
    "a variable too many": (
        lambda _: chained([header_body(context={"mood": "cheerful"})]),
        "not complete: TypeError.*mood",
    ),
    "a lock in a list": (
        lambda _: chained([header_body(context={"lock": ["a1"]})]),
        "not complete",
    ),
    "an arming in words": (
        lambda _: chained([header_body(context={"timers": [["state", "first"]]})]),
        "not complete",
    ),
    "an endless arming": (
        lambda _: chained([header_body(context={"timers": [["state", float("inf")]]})]),
        "not complete",
    ),
}


def without_key(body: dict[str, Any], key: str) -> dict[str, Any]:
    """Return ``body`` without one of its keys."""
    return {name: value for name, value in body.items() if name != key}


@pytest.mark.parametrize(("made", "says"), HEADERS.values(), ids=HEADERS)
def test_what_has_no_header_of_ours_is_foreign(
    lines: Lines, made: Callable[[Lines], Lines], says: str
) -> None:
    """Not a journal, or of a format that this code does not read: one clear line says which."""
    with pytest.raises(ForeignJournal, match=says) as caught:
        read(made(lines))
    assert caught.value.line == 1


FORGERIES: Final[dict[str, dict[str, Any]]] = {
    "no event": without_key(step_body(), "event"),
    "no effects": without_key(step_body(), "effects"),
    "an event of one part": step_body(event=["press"]),
    "an event of nothing": step_body(event=None),
    "fields of text": step_body(event=["press", "none", "e1"]),
    "fields of a number": step_body(event=["press", 1, "e1"]),
    "a time in words": step_body(ms="noon"),
    "no time": step_body(ms=None),
    "an endless time": step_body(ms=float("inf")),
    "a time that is no number": step_body(ms=float("nan")),
    "an endless sequence": step_body(seq=float("inf")),
    "a sequence in words": step_body(seq="first"),
    "an effect of text": step_body(effects=["cue"]),
    "effects of a number": step_body(effects=1),
    "an effect without fields": step_body(effects=[["cue"]]),
    "an effect with text for fields": step_body(effects=[["cue", "denied"]]),
}


@pytest.mark.parametrize("body", FORGERIES.values(), ids=FORGERIES)
def test_a_record_with_right_hashes_that_is_no_step_is_refused(body: dict[str, Any]) -> None:
    """A forger may know how to hash; what the line says must make sense all the same."""
    with pytest.raises(BrokenJournal, match="line 3 is no record of a step") as caught:
        read(chained([header_body(), step_body(1), body]))
    assert caught.value.line == 3


@pytest.mark.parametrize("seq", [0, 1, 3, -1])
def test_steps_are_numbered_without_a_gap(seq: int) -> None:
    """A line that somebody left out before hashing anew is missed by its number."""
    with pytest.raises(BrokenJournal, match=f"line 3 is step {seq}, expected 2"):
        read(chained([header_body(), step_body(1), step_body(seq)]))


def test_a_journal_that_lacks_its_end_is_believed_as_far_as_it_goes(lines: Lines) -> None:
    """What a power cut leaves is a prefix: whole lines missing at the end cannot be known of."""
    for kept in range(1, len(lines)):
        assert len(read(lines[:kept]).entries) == kept - 1


# -- A torn last line.
def test_a_last_line_torn_anywhere_loses_that_line_alone(lines: Lines) -> None:
    """A power cut cuts the line that was being written, at any byte of it."""
    whole = read(lines)
    for beginning in beheadings(lines[-1]):
        journal = read([*lines[:-1], beginning])
        assert journal.torn
        assert journal.entries == whole.entries[:-1]


def test_a_last_line_that_lost_its_newline_alone_is_whole(lines: Lines) -> None:
    """All that the line says is there."""
    journal = read([*lines[:-1], lines[-1].rstrip("\n")])
    assert journal == read(lines)
    assert not journal.torn


def test_a_file_torn_in_any_step_is_a_prefix_of_its_steps(lines: Lines) -> None:
    """Wherever the file is cut after its header, what was complete is read."""
    text, whole = "".join(lines), read(lines)
    ends = {len("".join(lines[:count])) for count in range(1, len(lines) + 1)}
    for length in range(len(lines[0]), len(text) + 1):
        journal = read(text[:length].splitlines(keepends=True))
        complete = sum(end - 1 <= length for end in ends) - 1
        assert journal.entries == whole.entries[:complete]
        assert journal.torn is (length not in ends and length + 1 not in ends)


def test_a_header_torn_anywhere_is_no_journal(lines: Lines) -> None:
    """Without its first line nothing can be said of the rest, and there is no rest."""
    for beginning in itertools.islice(beheadings(lines[0]), 0, None, 13):
        with pytest.raises(ForeignJournal, match="no complete first line"):
            read([beginning])


# -- Arbitrary input.
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=4,
)
"""Any JSON value, surrogates, infinities and numbers that are none included."""


def only_journal_errors(lines: Lines) -> None:
    """Read ``lines``; they are a journal, or the error is one of a journal and names a line."""
    try:
        read(lines)
    except JournalError as error:
        assert 1 <= error.line <= max(1, len(lines))  # noqa: PT017 - both outcomes are right


@given(st.lists(st.text(st.characters())))
def test_arbitrary_lines_are_refused_as_no_journal(lines: Lines) -> None:
    """Never anything but a JournalError, whatever stands in a file."""
    with pytest.raises(JournalError):
        read(lines)


HONEST: Final = "".join(chained([header_body(), *(step_body(seq) for seq in (1, 2, 3))]))


@given(st.integers(0, len(HONEST)), st.integers(0, 40), st.text(st.characters(), max_size=8))
def test_arbitrary_damage_is_refused_or_torn(begin: int, length: int, other: str) -> None:
    """An honest journal with some of its characters replaced by others."""
    damaged = HONEST[:begin] + other + HONEST[begin + length :]
    only_journal_errors(damaged.splitlines(keepends=True))


@settings(max_examples=50)
@given(st.dictionaries(st.sampled_from(list(header_body())), JSON))
def test_an_arbitrary_header_with_right_hashes_raises_nothing_else(changes: dict[str, Any]) -> None:
    """Whoever hashed it: what cannot be a header is no header."""
    only_journal_errors(chained([header_body() | changes, step_body()]))


@settings(max_examples=50)
@given(st.dictionaries(st.sampled_from(Context._fields), JSON))
def test_an_arbitrary_context_with_right_hashes_raises_nothing_else(
    changes: dict[str, Any],
) -> None:
    """The context that a header holds is input like any other."""
    context = encoded_context(START.context) | changes
    only_journal_errors(chained([header_body(context=context), step_body()]))


@settings(max_examples=50)
@given(st.dictionaries(st.sampled_from(list(step_body())), JSON))
def test_an_arbitrary_record_with_right_hashes_raises_nothing_else(
    changes: dict[str, Any],
) -> None:
    """Whoever hashed it: what cannot be a step is no step."""
    only_journal_errors(chained([header_body(), step_body() | changes]))


def test_a_line_that_was_never_text_is_refused() -> None:
    """A file opened so that no byte is lost gives lone surrogates for what is no UTF-8."""
    line = chained([header_body(commit="@")])[0].replace(
        "@", b"\xff".decode(errors="surrogateescape")
    )
    with pytest.raises(ForeignJournal) as caught:
        read([line])
    assert caught.value.line == 1


def test_effects_are_read_as_effects() -> None:
    """Replay compares them with those of today's table, so they are of the same kind."""
    (entry,) = read(chained([header_body(), step_body()])).entries
    assert entry.step.effects == (Effect("cue", {"name": "denied"}),)
    assert entry.step.event == Event("press", {}, "e1", 0)
