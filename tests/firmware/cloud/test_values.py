"""Convex values as plain Python."""

from __future__ import annotations

import pytest
from convex import ConvexInt64

from firmware.cloud.errors import MalformedError
from firmware.cloud.values import plain, refusal_code
from tests.firmware.cloud.examples import SECRET


def test_integers_become_plain_and_the_rest_stays() -> None:
    """At any depth."""
    value = {"a": [ConvexInt64(3), {"b": ConvexInt64(-(2**63))}], "c": None, "d": 1.5, "e": "x"}
    assert plain(value) == {"a": [3, {"b": -(2**63)}], "c": None, "d": 1.5, "e": "x"}


def test_bytes_are_malformed() -> None:
    """Nothing that is asked for here has any."""
    with pytest.raises(MalformedError, match="a value of type bytes"):
        plain([b"x"])


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ({"code": "BAD_SECRET"}, "BAD_SECRET"),
        ("DEVICE_NOT_FOUND", "DEVICE_NOT_FOUND"),
        ({"code": SECRET}, ""),
        ({"code": "bad_secret"}, ""),
        ({"code": "BAD__SECRET"}, ""),
        ({"code": "A1"}, ""),
        ({"code": "ÄÖÜ"}, ""),
        ({"code": "A" * 41}, ""),
        ({"code": 7}, ""),
        ({}, ""),
        ("", ""),
        (None, ""),
        ([], ""),
    ],
)
def test_only_words_of_capitals_are_codes(data: object, code: str) -> None:
    """A secret that a function quotes does not get into a log."""
    assert refusal_code(data) == code
