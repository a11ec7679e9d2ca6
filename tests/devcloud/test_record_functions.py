from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devcloud.functions import Kind, Outcome
from devcloud.uploads import UploadHeaders
from devcloud.values import Int64, encode
from tests.devcloud.test_functions import DEVICE, House

if TYPE_CHECKING:
    from tests.devcloud.json_type import Json

STAMP: Final[Json] = {"timestamp": "2026-11-25T02:14:53.120Z"}
TOY: Final[Json] = {"deviceId": "device", "toyId": "toy"}

CALLS: Final[dict[str, Json]] = {
    "conversations:create": {
        **TOY,
        "audioStorageId": None,
        "transcript": "hello",
        "replyText": None,
        "wasOffline": False,
        "outcome": "answered",
        "durations": {"reply": 812.0},
    },
    "metrics:record": {**TOY, "metrics": {"cpu": 12.5}},
    "metrics:batchRecord": {
        **TOY,
        "metrics": [
            {"recordId": "m1", **STAMP, "metrics": {"cpu": 1.0}},
            {"recordId": "m2", **STAMP, "metrics": {}, "clockSet": False, "ageMs": None},
        ],
    },
    "logs:create": {**TOY, "level": "error", "code": "E1", "context": {"n": 1.0, "on": True}},
    "guardian:reportEvent": {
        **TOY,
        "eventType": "emergency_stop",
        "details": {"by": "button"},
        "isUrgent": True,
    },
}
PLACES: Final = {
    "conversations:create": "conversations",
    "metrics:record": "metrics",
    "metrics:batchRecord": "batches",
    "logs:create": "logs",
    "guardian:reportEvent": "reports",
}


def report(house: House, name: str, record_id: str = "r1", **changes: Json) -> Outcome:
    arguments = {**CALLS[name], **STAMP, "recordId": record_id, **changes}
    return house.call(Kind.MUTATION, name, arguments)


def command(house: House, **fields: Json) -> str:
    with house.deployment.transaction():
        issued = house.deployment.commands.issue("device", fields, 1)
    return str(issued["commandId"])


def acknowledge(house: House, command_id: str, outcome: str = "done", **more: Json) -> Outcome:
    arguments = {"deviceId": "device", "recordId": f"ack-{command_id}", **STAMP, **more}
    arguments |= {"commandId": command_id, "outcome": outcome}
    return house.call(Kind.MUTATION, "devices:ackCommand", arguments)


def only_command(house: House) -> dict[str, Json]:
    (shown,) = house.deployment.commands.to_json()
    return shown


@pytest.mark.parametrize("name", CALLS)
def test_a_record_is_stored_once_with_all_its_arguments(name: str) -> None:
    house = House()
    first, second = report(house, name), report(house, name)
    assert first.error is None
    assert isinstance(first.value, dict)
    assert first.value["duplicate"] is False
    assert isinstance(second.value, dict)
    assert (second.value["id"], second.value["duplicate"]) == (first.value["id"], True)
    assert second.log_lines[0].startswith(f"[LOG] '{name}: this record was stored before")
    (row,) = house.deployment.records.to_json(PLACES[name])
    assert (row["recordId"], row["function"], row["deliveries"]) == ("r1", name, 2)
    if name != "metrics:batchRecord":
        assert row["arguments"] == {**CALLS[name], **STAMP, "recordId": "r1"}


@pytest.mark.parametrize("name", CALLS)
def test_a_record_is_taken_only_from_its_own_device_and_for_its_own_toy(name: str) -> None:
    house = House()
    arguments = {**CALLS[name], **STAMP, "recordId": "r1"}
    assert house.call(Kind.MUTATION, name, arguments, None).error_data == {
        "code": "UNAUTHENTICATED"
    }
    assert report(house, name, toyId="other").error_data == {"code": "TOY_NOT_FOUND"}
    house.deployment.remove_device("device")
    assert report(house, name).error_data == {"code": "DEVICE_NOT_FOUND"}
    assert house.deployment.records.to_json(PLACES[name]) == []


@pytest.mark.parametrize(
    "timestamp", ["", "yesterday", "2026-11-25", "2026-11-25T02:14:53", "2026-11-25T02:14:53+01:00"]
)
def test_a_time_must_be_rfc_3339_in_utc(timestamp: str) -> None:
    outcome = report(House(), "logs:create", timestamp=timestamp)
    assert outcome.error_data == {"code": "BAD_TIMESTAMP"}


def test_a_device_whose_clock_was_not_set_says_how_old_a_record_is() -> None:
    assert report(House(), "logs:create", clockSet=False, ageMs=1200.0).error is None
    assert report(House(), "logs:create", clockSet=False, ageMs=None).error is None


@pytest.mark.parametrize(
    ("name", "changes", "says"),
    [
        ("guardian:reportEvent", {"details": {"deep": {}}}, "Path: .details.deep"),
        ("guardian:reportEvent", {"isUrgent": 1.0}, "Path: .isUrgent"),
        ("logs:create", {"context": []}, "Path: .context"),
        ("metrics:record", {"metrics": {"cpu": None}}, "Path: .metrics.cpu"),
        ("metrics:batchRecord", {"metrics": [{}]}, "required field `recordId`"),
        ("conversations:create", {"transcript": 3.0}, "Path: .transcript"),
        ("conversations:create", {"audio": "x"}, "extra field `audio`"),
    ],
)
def test_arguments_of_another_type_are_refused(name: str, changes: Json, says: str) -> None:
    house = House()
    outcome = report(house, name, **changes)
    assert outcome.error_data is None
    assert says in outcome.error_message
    assert house.deployment.records.to_json(PLACES[name]) == []


def test_each_metric_of_a_batch_is_a_record_of_its_own() -> None:
    house = House()
    report(house, "metrics:record", "m1")
    batch = report(house, "metrics:batchRecord", "b1")
    again = report(house, "metrics:batchRecord", "b2")
    assert isinstance(batch.value, dict)
    assert (batch.value["stored"], batch.value["duplicates"]) == (1.0, 1.0)
    assert isinstance(again.value, dict)
    assert (again.value["stored"], again.value["duplicates"]) == (0.0, 2.0)
    rows = house.deployment.records.to_json("metrics")
    assert [(row["recordId"], row["deliveries"]) for row in rows] == [("m1", 3), ("m2", 2)]
    assert rows[1]["arguments"] == {
        **TOY,
        **CALLS["metrics:batchRecord"]["metrics"][1],
        "batchId": "b1",
    }


def test_a_batch_with_one_bad_metric_stores_none() -> None:
    house = House()
    good = {"recordId": "m1", **STAMP, "metrics": {}}
    outcome = report(house, "metrics:batchRecord", metrics=[good, {**good, "timestamp": "?"}])
    assert outcome.error_data == {"code": "BAD_TIMESTAMP"}
    assert house.deployment.records.to_json("metrics") == []
    assert house.deployment.records.to_json("batches") == []


def test_a_conversation_names_only_audio_that_its_device_has_uploaded() -> None:
    house = House()
    house.deployment.add_device("other", "secret", "bear")
    uploads = house.deployment.uploads
    mine, theirs = (
        uploads.store(uploads.issue(device_id, 0), b"x", UploadHeaders(), 0)
        for device_id in ("device", "other")
    )
    for storage_id in ("kg-unknown", theirs):
        outcome = report(house, "conversations:create", audioStorageId=storage_id)
        assert outcome.error_data == {"code": "NO_SUCH_UPLOAD"}
    assert report(house, "conversations:create", audioStorageId=mine).error is None


def test_an_acknowledged_command_is_no_longer_shown() -> None:
    house = House()
    command_id = command(house, kind="lock")
    assert house.commands() == [command_id]
    assert acknowledge(house, command_id, details={"lockId": "l1"}).error is None
    assert house.commands() == []
    shown = only_command(house)
    (acknowledgement,) = shown["acknowledgements"]
    assert (acknowledgement["outcome"], acknowledgement["details"]) == ("done", {"lockId": "l1"})


def test_an_acknowledgement_may_hold_a_whole_export() -> None:
    house = House()
    export = {"configuration": {"version": 1.0, "topics": ["bears"]}, "waiting": None}
    acknowledge(house, command(house, kind="export"), details={"export": export})
    (acknowledgement,) = only_command(house)["acknowledgements"]
    assert acknowledgement["details"] == {"export": export}


def test_every_acknowledgement_is_stored_and_the_first_one_counts() -> None:
    house = House()
    command_id = command(house, kind="lock")
    acknowledge(house, command_id)
    acknowledge(house, command_id, "failed", recordId="another")
    shown = only_command(house)
    assert shown["outcome"] == "done"
    assert [ack["outcome"] for ack in shown["acknowledgements"]] == ["done", "failed"]


def test_a_command_that_is_not_there_cannot_be_acknowledged() -> None:
    house = House()
    with house.deployment.transaction():
        house.deployment.commands.issue("other", {"kind": "lock", "commandId": "theirs"}, 1)
    for command_id in ("nothing", "theirs"):
        assert acknowledge(house, command_id).error_data == {"code": "NO_SUCH_COMMAND"}
    assert acknowledge(house, "nothing", "maybe").error_data is None
    assert house.deployment.records.to_json("acks") == []


@pytest.mark.parametrize(
    ("outcome", "carried"), [("done", "bear"), ("already", "bear"), ("refused", "toy")]
)
def test_a_device_that_switched_is_the_other_toy(outcome: str, carried: str) -> None:
    house = House()
    house.deployment.add_toy("bear", "device", {"name": "Bear"})
    acknowledge(house, command(house, kind="switchToy", toyId="bear"), outcome)
    device = house.deployment.device("device")
    assert device
    assert device.toy_id == carried
    assert house.configuration(DEVICE, "bear").error is None
    assert house.configuration(DEVICE, "toy").error is None


SCALARS = (
    st.none()
    | st.booleans()
    | st.floats(allow_nan=False)
    | st.builds(Int64, st.integers(-(2**63), 2**63 - 1))
    | st.text(max_size=12)
    | st.binary(max_size=4)
    | st.sampled_from(["device", "toy", STAMP["timestamp"], "done", "c1"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["recordId", "timestamp", "metrics", "toyId", "x", "ageMs"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)
NAMES = (*CALLS, "devices:ackCommand", "storage:generateUploadUrl", "auth:authenticateDevice")


@given(
    st.sampled_from(NAMES),
    st.dictionaries(
        st.sampled_from(
            [
                *("deviceId", "toyId", "recordId", "timestamp", "metrics", "details", "context"),
                *("commandId", "outcome", "audioStorageId", "transcript", "deviceSecret"),
            ]
        ),
        VALUES,
        max_size=4,
    ),
    st.sampled_from([CALLS, {}]),
)
def test_no_arguments_break_a_function(
    name: str, changes: dict[str, Json], almost_right: dict[str, Json]
) -> None:
    """Whatever it is given, a function answers or refuses; what it refuses it has not stored."""
    house = House()
    before = house.deployment.timestamp
    arguments = {**almost_right.get(name, {}), **STAMP, **changes}
    outcome = house.call(Kind.MUTATION, name, arguments)
    json.dumps(encode(outcome.value))
    assert (outcome.error is None) == (house.deployment.timestamp > before)
