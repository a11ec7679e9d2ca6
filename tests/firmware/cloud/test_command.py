"""Rows of ``devices:commands``: hostile until checked."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.cloud.command import ID_CHARS_MAX, PAUSE_S_MAX, WORDS_CHARS_MAX, Command, Stamp
from firmware.cloud.errors import MalformedError
from states.events import EVENTS
from tests.firmware.cloud.rows import RIGHT, row

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=8,
)


@pytest.mark.parametrize("kind", sorted(RIGHT))
def test_every_kind_of_the_contract_becomes_an_event(kind: str) -> None:
    """Of the vocabulary, with what else its event carries; keys nobody knows are left alone."""
    command = Command.parse(row(kind, "c-7", 5.0, newer="firmware knows"))
    assert (command.id, command.kind, command.is_usable) == ("c-7", kind, True)
    assert command.stamp == Stamp(5.0, "c-7")
    assert {"command", "via"} | command.fields.keys() >= EVENTS[command.event].fields.keys()
    assert command.fields.keys() <= EVENTS[command.event].fields.keys()


def test_what_a_row_says_is_taken_over() -> None:
    """In the units of the firmware."""
    assert Command.parse(row("pause")).fields == {"pause_ms": 600_000}
    assert Command.parse(row("release")).fields == {"lock_id": "boot1"}
    assert Command.parse(row("volume", percent=35.6)).percent == 36
    assert Command.parse(row("extend")).minutes == 15
    assert Command.parse(row("switchToy")).toy_id == "toy-2"
    say = Command.parse(row("say", text="Zähne\nputzen!"))
    assert say.words == "Zähne\nputzen!"
    assert "putzen" not in repr(say)


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        ("release", {"lockId": None}),
        ("release", {"lockId": 7}),
        ("release", {"lockId": "x" * (ID_CHARS_MAX + 1)}),
        ("release", {"lockId": "a\nb"}),
        ("say", {"text": ""}),
        ("say", {"text": " \n"}),
        ("say", {"text": ["words"]}),
        ("say", {"text": "\ud800"}),
        ("say", {"text": "x" * (WORDS_CHARS_MAX + 1)}),
        ("volume", {"percent": "loud"}),
        ("volume", {"percent": True}),
        ("volume", {"percent": -1}),
        ("volume", {"percent": 101.0}),
        ("volume", {"percent": float("nan")}),
        ("volume", {"percent": 10**400}),
        ("extend", {"minutes": 0}),
        ("extend", {"minutes": float("inf")}),
        ("switchToy", {"toyId": ""}),
        ("switchToy", {"toyId": "toy\r\nX: y"}),
        ("switchToy", {"toyId": None}),
    ],
)
def test_a_command_that_cannot_be_used_can_still_be_answered(
    kind: str, wrong: dict[str, Any]
) -> None:
    """It has an id: nobody is to wait for it."""
    command = Command.parse(row(kind, **wrong))
    assert (command.id, command.is_usable) == ("c1", False)


@pytest.mark.parametrize("duration_s", [None, "long", -1, PAUSE_S_MAX + 1, float("nan"), {}])
def test_a_pause_of_no_usable_length_pauses_all_the_same(duration_s: object) -> None:
    """For the table's own time: what stops the toy is not dropped over a number."""
    command = Command.parse(row("pause", durationS=duration_s))
    assert command.is_usable
    assert command.fields == {"pause_ms": 0}


@pytest.mark.parametrize("signature", [None, 7, "", "A" * 88, "A" * 5000, "ä" * 86 + "=="])
def test_a_signature_of_the_wrong_form_is_none(signature: object) -> None:
    """What that means is for whoever has a key to say."""
    assert Command.parse(row("release", signature=signature)).signature == ""
    right = "A" * 86 + "=="
    assert Command.parse(row("release", signature=right)).signature == right


@pytest.mark.parametrize("kind", ["", "unlock", "emergency_stop", "shutdown", "x" * 100_000])
def test_an_unknown_kind_becomes_no_event(kind: str) -> None:
    """Also where the vocabulary has an event of that name; its word is kept nowhere."""
    command = Command.parse(row(kind))
    assert (command.event, command.kind) == ("", "unknown")


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        [],
        "lock",
        {},
        row("lock", ""),
        row("lock", "c 1"),
        row("lock", "x" * (ID_CHARS_MAX + 1)),
        row("lock", commandId=7),
        row("lock", "c1", -1.0),
        row("lock", "c1", float("nan")),
        row("lock", "c1", float("inf")),
        row("lock", issuedAt=10**400),
        row("lock", issuedAt="now"),
        row("lock", issuedAt=True),
        row("lock", kind=None),
        row("lock", kind=["lock"]),
    ],
)
def test_what_cannot_be_named_or_ordered_is_malformed(wrong: object) -> None:
    """There is nobody to answer; nothing of it is in the text."""
    with pytest.raises(MalformedError) as caught:
        Command.parse(wrong)
    assert "x" * 20 not in str(caught.value)


@given(kind=st.sampled_from(sorted(RIGHT)), more=st.dictionaries(st.sampled_from(
    ["commandId", "issuedAt", "kind", "durationS", "lockId", "signature", "text", "percent",
     "minutes", "toyId"]), JSON))  # fmt: skip
def test_no_row_raises_anything_else(kind: str, more: dict[str, Any]) -> None:
    """Whatever the cloud sends."""
    try:
        command = Command.parse(row(kind, **more))
    except MalformedError:
        return
    json.dumps(dict(command.fields), allow_nan=False)


@given(JSON)
def test_nor_does_anything_that_is_no_row(value: object) -> None:
    """As little as that is likely to be one."""
    with pytest.raises(MalformedError):
        Command.parse(value)
