from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from devcloud.database import Database
from devcloud.errors import FunctionError, UnknownNameError
from devcloud.records import Records, Stored

if TYPE_CHECKING:
    from tests.devcloud.json_type import Json


def add(records: Records, record_id: str, device_id: str = "device", **more: Json) -> Stored:
    arguments = {"recordId": record_id, "deviceId": device_id, **more}
    return records.add("logs", "logs:create", device_id, arguments, 7)


def test_records_are_shown_as_they_came_and_in_that_order() -> None:
    records = Records(Database())
    stored = [add(records, name, code="E1") for name in ("b", "a")]
    rows = records.to_json("logs")
    assert [row["recordId"] for row in rows] == ["b", "a"]
    assert [row["arrival"] for row in rows] == [1, 2]
    assert rows[0] == {
        "arrival": 1,
        "id": stored[0].id,
        "recordId": "b",
        "deviceId": "device",
        "function": "logs:create",
        "arguments": {"recordId": "b", "deviceId": "device", "code": "E1"},
        "receivedAt": 7,
        "deliveries": 1,
    }


def test_a_record_that_comes_again_is_counted_and_not_stored() -> None:
    records = Records(Database())
    first = add(records, "a", code="first")
    assert add(records, "a", code="second") == Stored(first.id, duplicate=True)
    rows: list[Json] = records.to_json("logs")
    assert [(row["arguments"]["code"], row["deliveries"]) for row in rows] == [("first", 2)]


def test_devices_do_not_share_record_ids() -> None:
    records = Records(Database())
    assert not add(records, "a").duplicate
    assert not add(records, "a", device_id="other").duplicate


@pytest.mark.parametrize(
    ("context", "says"),
    [("x" * (1 << 20), "too large"), ([[[[[[[[[[[[[[[["deep"]]]]]]]]]]]]]]]], "too nested")],
)
def test_what_is_no_document_is_refused(context: Json, says: str) -> None:
    records = Records(Database())
    with pytest.raises(FunctionError, match=says):
        add(records, "a", context=context)
    assert records.to_json("logs") == []


def test_an_unknown_table_is_refused_and_the_nearest_named() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'reports'"):
        Records(Database()).to_json("report")
