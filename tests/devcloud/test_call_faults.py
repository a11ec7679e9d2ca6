from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from devcloud import call_faults
from devcloud.call_faults import CALL_FAULTS, CallFault
from devcloud.errors import SettingsError
from devcloud.garbage import GARBAGE

if TYPE_CHECKING:
    from tests.devcloud.json_type import Json


@pytest.mark.parametrize(
    ("name", "value", "fault"),
    [
        ("http_status", True, CallFault(status=503)),
        ("http_status", 500, CallFault(status=500)),
        ("http_status", {"status": 429, "times": 3}, CallFault(status=429, times=3)),
        ("redirect", "ws://127.0.0.1:1/", CallFault(to="ws://127.0.0.1:1/", status=307)),
        ("redirect", {"to": "http://h", "status": 308}, CallFault(to="http://h", status=308)),
        ("commit_then_drop", True, CallFault()),
        ("duplicate_delivery", {"function": "upload"}, CallFault(function="upload")),
        ("garbage", True, CallFault(kind="text")),
        ("garbage", "deep", CallFault(kind="deep")),
        ("expire_tokens", {"times": 1}, CallFault(times=1)),
        ("expire_uploads", {}, CallFault()),
        ("cut_uploads", 1000, CallFault(after_bytes=1000)),
    ],
)
def test_a_fault_is_read_from_what_is_short_and_from_an_object(
    name: str, value: Json, fault: CallFault
) -> None:
    assert call_faults.read(name, value) == fault


@pytest.mark.parametrize("name", sorted(CALL_FAULTS))
def test_null_and_false_end_a_fault(name: str) -> None:
    assert call_faults.read(name, None) is None
    assert call_faults.read(name, False) is None  # noqa: FBT003 - as the control API has it


@pytest.mark.parametrize("kind", GARBAGE)
def test_each_kind_of_garbage_can_be_asked_for(kind: str) -> None:
    assert call_faults.read("garbage", kind) == CallFault(kind=kind)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("http_status", 200, "http_status: status must be 400 to 599"),
        ("http_status", "503", "http_status: status must be 400 to 599"),
        ("http_status", {"times": 0}, "http_status: times must be 1 to 1000000 times"),
        ("http_status", {"times": True}, "times must be"),
        ("http_status", {"function": ""}, "function must be the name of a function"),
        ("http_status", {"functoin": "a:b"}, "did you mean 'function'"),
        ("redirect", True, "redirect: to is missing; it must be an address with its scheme"),
        ("redirect", "elsewhere", "to must be an address"),
        ("redirect", "http://h/\r\nX: y", "to must be an address"),
        ("redirect", {"to": "http://h", "status": 302}, "status must be 307 to 308"),
        ("commit_then_drop", 3, "commit_then_drop: must be true, false, null or an object"),
        ("garbage", "rubbish", "kind must be one of text, empty, object"),
        ("garbage", {"kind": ["text"]}, "kind must be one of"),
        ("cut_uploads", -1, "after_bytes must be 0 to"),
    ],
)
def test_what_cannot_be_is_refused_and_its_field_named(name: str, value: Json, says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        call_faults.read(name, value)
