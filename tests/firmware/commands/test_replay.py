"""``pommai replay``: identical, parted, torn, tampered, missing, or no journal at all."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from firmware.__main__ import main
from firmware.bench.walk import recorded, walk
from firmware.commands import replay as command
from states.events import Event
from states.journal import LINE_CHARACTERS_MAX
from states.lookup import OURS, Lookup, Rules
from states.replay import replay
from states.table import ROWS
from tests.firmware.commands.pommai import ROOT, TIMEOUT_S, complains, pommai, running
from tests.states.recording import above, altered, without

STEPS = 60
LINES = recorded(walk(STEPS))


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """A journal that today's table wrote."""
    path = tmp_path / "journal.jsonl"
    path.write_text("".join(LINES), encoding="ascii", newline="\n")
    return path


def altered_tree(folder: Path, old: str, new: str) -> Path:
    """Return a copy of the flashed tree in which one line of the table differs."""
    for package in ("states", "hardware", "firmware"):
        shutil.copytree(
            ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    table = folder / "states" / "table.py"
    text = table.read_text(encoding="utf-8")
    assert text.count(old) == 1
    table.write_text(text.replace(old, new), encoding="utf-8")
    return folder


def started() -> list[str]:
    """Return a short journal that begins with the start of the service, unlike a walk."""
    return recorded(
        [Event(name, {}, f"e{n}") for n, name in enumerate(("started", "press", "release"))]
    )


@pytest.fixture
def by_rules(monkeypatch: pytest.MonkeyPatch) -> Callable[[Rules], None]:
    """Let the command replay by other rules than today's."""

    def plant(rules: Rules) -> None:
        monkeypatch.setattr(command, "replay", partial(replay, lookup=Lookup(rules)))

    return plant


def test_a_journal_of_todays_table_is_identical(journal: Path) -> None:
    """It says how many steps were replayed."""
    done = pommai("replay", journal)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{STEPS} steps, all identical.\n"


def test_a_journal_comes_through_a_pipe(journal: Path) -> None:
    """From another machine, or unpacked on the way."""
    done = pommai("replay", "-", typed=journal.read_bytes())
    assert (done.returncode, done.stdout) == (0, f"{STEPS} steps, all identical.\n")


def test_a_program_reads_json(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same facts under stable names."""
    assert main(["replay", "--json", str(journal)]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "steps": STEPS,
        "identical": STEPS,
        "torn": False,
        "broken": None,
        "changes": {"changed": [], "added": [], "removed": [], "behaviour": False},
        "difference": None,
    }


def test_an_edited_guard_stops_replay_at_the_first_difference_with_both_sides(
    tmp_path: Path, journal: Path
) -> None:
    """The row is named as changed, the step is shown as it was and as it is now."""
    tree = altered_tree(
        tmp_path / "tree",
        'row("boot.starts",           "started",             ("boot.dark",), "boot.reading"),',
        'row("boot.starts",           "started",             ("boot.dark",), "boot.held"),',
    )
    journal.write_text("".join(started()), encoding="ascii")
    done = pommai("replay", journal, cwd=tree)
    assert (done.returncode, done.stderr) == (1, "")
    lines = done.stdout.splitlines()
    assert lines[0].startswith("Behaviour changed since this journal was written (commit ")
    assert lines[1] == "  rows changed: boot.starts"
    assert lines[2] == "0 of 3 steps identical."
    assert lines[3].startswith("First difference: line 2, step 1, 0 ms: started")
    told = {line.split()[0]: line for line in lines[5:] if line.split()}
    assert told["to"].split() == ["to", "boot.reading", "boot.held", "<"]
    assert told["row"].split() == ["row", "boot.starts", "boot.starts"]
    assert not told["from"].endswith("<")
    assert "effects" in told


def test_each_side_of_a_difference_is_shown_in_a_column(
    journal: Path, by_rules: Callable[[Rules], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """What differs is marked; where one side has more effects, the other shows a dash."""
    by_rules(altered("boot.starts", lambda row: row._replace(target="boot.held")))
    journal.write_text("".join(started()), encoding="ascii")
    assert main(["replay", str(journal)]) == 1
    lines = capsys.readouterr().out.splitlines()
    at = lines.index("First difference: line 2, step 1, 0 ms: started")
    columns = [(line[:12].strip(), line[12:56].rstrip(), line[56:]) for line in lines[at + 1 :]]
    arm = "arm state 1"
    assert columns == [
        ("", "recorded", "today"),
        ("from", "boot.dark", "boot.dark"),
        ("row", "boot.starts", "boot.starts"),
        ("to", "boot.reading", "boot.held   <"),
        ("effects", "speaker cues 0", "speaker cues 0"),
        ("", "light white-sweep closed", "light white-sweep closed"),
        ("", "read_records", f"{arm} 5000 state_elapsed   <"),
        ("", f"{arm} 30000 state_elapsed", "-   <"),
    ]


def test_rows_that_are_new_or_gone_are_named(
    journal: Path, by_rules: Callable[[Rules], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """Even where every step of this journal is still the same."""
    new = next(row for row in ROWS if row.id == "update.while_asleep")._replace(id="update.new")
    by_rules(above(new, without("update.while_asleep")))
    journal.write_text("".join(started()), encoding="ascii")
    assert main(["replay", str(journal)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1:] == [
        "  rows new: update.new",
        "  rows gone: update.while_asleep",
        "3 steps, all identical.",
    ]


def test_a_change_that_is_in_no_row_is_told_as_such(
    journal: Path, by_rules: Callable[[Rules], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """The order of rows is behaviour too."""
    by_rules(OURS._replace(rows=(*OURS.rows[:-2], OURS.rows[-1], OURS.rows[-2])))
    journal.write_text("".join(started()), encoding="ascii")
    assert main(["replay", str(journal)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1:] == [
        "  no row by itself: their order, the states, or what is derived from them",
        "3 steps, all identical.",
    ]


def test_a_program_reads_both_sides_of_a_difference(tmp_path: Path, journal: Path) -> None:
    """Row, target and effects, as recorded and as today."""
    tree = altered_tree(
        tmp_path / "tree",
        'row("boot.starts",           "started",             ("boot.dark",), "boot.reading"),',
        'row("boot.starts",           "started",             ("boot.dark",), "boot.held"),',
    )
    journal.write_text("".join(started()), encoding="ascii")
    done = pommai("replay", "--json", journal, cwd=tree)
    told = json.loads(done.stdout)
    assert done.returncode == 1
    assert told["changes"]["changed"] == ["boot.starts"]
    difference = told["difference"]
    assert (difference["line"], difference["event"]) == (2, ["started", {}])
    assert difference["recorded"]["to"] == "boot.reading"
    assert difference["today"]["to"] == "boot.held"
    assert difference["recorded"]["effects"] != difference["today"]["effects"]


def test_a_last_line_that_is_cut_short_is_left_out(
    journal: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A power cut leaves that, and nothing is wrong with the rest."""
    journal.write_text("".join(LINES)[:-20], encoding="ascii")
    assert main(["replay", str(journal)]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "The last line is cut short, as a power cut leaves it: it is left out.",
        f"{STEPS - 1} steps, all identical.",
    ]
    assert err == ""


@pytest.mark.parametrize(
    ("tamper", "why"),
    [
        (lambda line: line.replace('"ms":', '"ms":1'), "was altered"),
        (lambda line: line.replace("{", "\N{LATIN SMALL LETTER E WITH ACUTE}{", 1), "is not JSON"),
        (lambda line: "\xff\xfe" + line, "is not JSON"),
        (lambda _: "", "does not follow"),
        (lambda line: line + line, "does not follow"),
        (lambda _: "x" * (LINE_CHARACTERS_MAX + 5) + "\n", "is longer than"),
        (lambda _: "\n", "is not JSON"),
    ],
)
def test_a_tampered_line_is_named_and_what_stands_before_it_is_replayed(
    journal: Path, capsys: pytest.CaptureFixture[str], tamper: object, why: str
) -> None:
    """One line says which line cannot be believed; the steps before it are not lost."""
    lines = list(LINES)
    assert callable(tamper)
    lines[30] = tamper(lines[30])
    journal.write_text("".join(lines), encoding="latin-1", newline="\n")
    assert main(["replay", str(journal)]) == 65
    out, err = capsys.readouterr()
    place = 32 if why == "does not follow" and lines[30] else 31
    stands = place - 2
    assert out == f"{stands} steps, all identical.\n"
    (line,) = err.splitlines()
    assert line.startswith(f"pommai: {journal}: line {place} {why}")
    assert line.endswith(f"; the {stands} steps before it stand, nothing after it can be believed")


def test_a_program_is_told_of_a_broken_line(
    journal: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Beside what could be replayed."""
    lines = [*LINES[:10], *LINES[11:]]
    journal.write_text("".join(lines), encoding="ascii")
    assert main(["replay", "--json", str(journal)]) == 65
    told = json.loads(capsys.readouterr().out)
    assert (told["broken"]["line"], told["steps"], told["identical"]) == (11, 9, 9)


def test_a_missing_file_is_named() -> None:
    """And no trace is shown."""
    done = pommai("replay", "no-such-journal.jsonl")
    complains(
        done,
        66,
        says="no-such-journal.jsonl: the journal cannot be read: No such file or directory",
    )
    assert done.stdout == ""


def test_a_folder_is_no_journal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It cannot be read."""
    assert main(["replay", str(tmp_path)]) == 66
    assert capsys.readouterr().err.endswith("the journal cannot be read: Is a directory\n")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"RIFF\x00\x80\xff\xfeWAVE",
        b"{}\n",
        b'{"pommai_journal": 99}\n',
        b"[" * 50_000,
        b"\0" * (1 << 20),
    ],
)
def test_what_is_no_journal_is_refused(
    journal: Path, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    """Whatever its bytes are: one line, no trace, no output."""
    journal.write_bytes(content)
    assert main(["replay", str(journal)]) == 65
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert err.startswith(f"pommai: {journal}: ")


def test_an_endless_file_is_not_read_to_its_end() -> None:
    """The first line that is too long is enough."""
    complains(pommai("replay", "/dev/zero"), 65, "/dev/zero: line 1 is longer than")


def test_a_reader_that_leaves_early_is_no_error(journal: Path) -> None:
    """As in ``pommai replay | head -0``."""
    with running("replay", journal) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait(TIMEOUT_S) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""
