"""The one way to say what went wrong."""

from __future__ import annotations

import os

import pytest

from firmware.commands import exits


def test_the_message_is_one_line_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    """Even where a file's name or a library's message has several."""
    assert exits.fail(exits.DATA, "a\nb\r\nc  d") == exits.DATA
    assert capsys.readouterr() == ("", "pommai: a b c  d\n")


def test_codes_are_those_that_other_programs_know() -> None:
    """sysexits.h, where it has one."""
    assert (exits.DATA, exits.NO_INPUT, exits.UNAVAILABLE, exits.CANNOT_CREATE) == (
        os.EX_DATAERR,
        os.EX_NOINPUT,
        os.EX_UNAVAILABLE,
        os.EX_CANTCREAT,
    )
    assert exits.CONFIGURATION == os.EX_CONFIG
