from __future__ import annotations

from devcloud.calls import CALLS_MAX, TEXT_CHARS_MAX, CallLog, ReceivedCall


def test_the_list_of_calls_is_bounded() -> None:
    calls = CallLog()
    for number in range(CALLS_MAX + 5):
        calls.add(ReceivedCall("http", "query", f"m:{number}", None, "error"))
    listed = calls.to_json()
    assert len(listed) == CALLS_MAX
    assert listed[0]["function"] == "m:5"


def test_names_from_outside_are_cut_short() -> None:
    calls = CallLog()
    calls.add(ReceivedCall("http", "query", "x" * 10_000, "y" * 10_000, "error"))
    (call,) = calls.to_json()
    assert call["function"] == "x" * TEXT_CHARS_MAX
    assert call["deviceId"] == "y" * TEXT_CHARS_MAX
