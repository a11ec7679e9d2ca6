"""The functions that store what a device reports, each record once.

====================================  ==================================================  ==========
``conversations:create``              what was said in a turn, as far as consent goes     mutation
``metrics:record``                    the device's figures at one moment                  mutation
``metrics:batchRecord``               many of those; each is a record of its own          mutation
``logs:create``                       an error or a note, without personal data           mutation
``guardian:reportEvent``              what a guardian is to know                          mutation
``devices:ackCommand``                what became of a command                            mutation
====================================  ==================================================  ==========

Each takes ``deviceId``, ``recordId`` and ``timestamp`` (RFC 3339, UTC), all but the last ``toyId``,
and from a device whose clock was not set ``clockSet`` and ``ageMs``. The answer is ``{"id",
"duplicate"}``: a record that came before is stored no second time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from devcloud.commands import OBEYED, OUTCOMES
from devcloud.errors import ConvexError
from devcloud.function import OF_DEVICE, OF_TOY, Body, Context, Function, text
from devcloud.validators import (
    ANY,
    BOOLEAN,
    NULL,
    NUMBER,
    STRING,
    Validator,
    array,
    fields,
    literals,
    optional,
    record,
    union,
)

if TYPE_CHECKING:
    from devcloud.values import ConvexObject, ConvexValue

_RECORD: Final[Mapping[str, Validator]] = {
    "recordId": STRING,
    "timestamp": STRING,
    "clockSet": optional(BOOLEAN),
    "ageMs": optional(union(NUMBER, NULL)),
}
_TEXT_OR_NULL: Final = union(STRING, NULL)
_SCALARS: Final = record(union(STRING, NUMBER, BOOLEAN, NULL))
_NUMBERS: Final = record(NUMBER)


def _stores(place: str, function: str) -> Body:
    """Make the body of a function that stores its arguments and does no more."""

    def body(context: Context, arguments: ConvexObject) -> ConvexValue:
        context.toy(arguments)
        return _store(context, place, function, arguments)

    return body


def _create_conversation(context: Context, arguments: ConvexObject) -> ConvexValue:
    device_id = context.toy(arguments).device_id
    storage_id = arguments["audioStorageId"]
    if isinstance(storage_id, str):
        uploads = context.deployment.uploads
        if uploads.device_of(storage_id) != device_id:
            raise ConvexError({"code": "NO_SUCH_UPLOAD"})
    return _store(context, "conversations", "conversations:create", arguments)


def _record_batch(context: Context, arguments: ConvexObject) -> ConvexValue:
    context.toy(arguments)
    metrics = arguments["metrics"]
    assert isinstance(metrics, Sequence)  # noqa: S101 - checked by the validator
    own = {name: value for name, value in arguments.items() if name != "metrics"}
    answer = _store(
        context, "batches", "metrics:batchRecord", {**own, "count": float(len(metrics))}
    )
    of_device = {name: arguments[name] for name in OF_TOY}
    duplicates = 0
    for item in metrics:
        assert isinstance(item, Mapping)  # noqa: S101 - checked by the validator
        stored = {**of_device, **item, "batchId": arguments["recordId"]}
        context.toy(stored)
        duplicates += bool(_store(context, "metrics", "metrics:batchRecord", stored)["duplicate"])
    return {
        **answer,
        "stored": float(len(metrics) - duplicates),
        "duplicates": float(duplicates),
    }


def _acknowledge(context: Context, arguments: ConvexObject) -> ConvexValue:
    device_id = context.device(arguments)
    commands = context.deployment.commands
    command_id, outcome = text(arguments, "commandId"), text(arguments, "outcome")
    if commands.device_of(command_id) != device_id:
        raise ConvexError({"code": "NO_SUCH_COMMAND"})
    answer = _store(context, "acks", "devices:ackCommand", arguments)
    command = commands.acknowledge(command_id, outcome)
    if command and command.get("kind") == "switchToy" and outcome in OBEYED:
        toy_id = command.get("toyId")
        if isinstance(toy_id, str) and context.deployment.toy(toy_id, device_id):
            context.deployment.carry(device_id, toy_id)
    return answer


def _store(
    context: Context, place: str, function: str, arguments: ConvexObject
) -> dict[str, ConvexValue]:
    _check_time(text(arguments, "timestamp"))
    deployment = context.deployment
    stored = deployment.records.add(
        place, function, text(arguments, "deviceId"), arguments, deployment.now_ms
    )
    if stored.duplicate:
        context.log(f"{function}: this record was stored before, as {stored.id}")
    return {"id": stored.id, "duplicate": stored.duplicate}


def _check_time(timestamp: str) -> None:
    try:
        offset = datetime.fromisoformat(timestamp).utcoffset()
    except ValueError:
        offset = None
    if offset != timedelta(0):
        raise ConvexError({"code": "BAD_TIMESTAMP"})


MUTATIONS: Final[Mapping[str, Function]] = {
    "conversations:create": Function(
        _create_conversation,
        fields(
            **OF_TOY,
            **_RECORD,
            audioStorageId=_TEXT_OR_NULL,
            transcript=_TEXT_OR_NULL,
            replyText=_TEXT_OR_NULL,
            wasOffline=BOOLEAN,
            outcome=STRING,
            durations=_NUMBERS,
        ),
    ),
    "metrics:record": Function(
        _stores("metrics", "metrics:record"), fields(**OF_TOY, **_RECORD, metrics=_NUMBERS)
    ),
    "metrics:batchRecord": Function(
        _record_batch,
        fields(
            **OF_TOY,
            **_RECORD,
            # A toy may have been switched since some of them were taken.
            metrics=array(fields(**_RECORD, toyId=optional(STRING), metrics=_NUMBERS)),
        ),
    ),
    "logs:create": Function(
        _stores("logs", "logs:create"),
        fields(**OF_TOY, **_RECORD, level=STRING, code=STRING, context=_SCALARS),
    ),
    "guardian:reportEvent": Function(
        _stores("reports", "guardian:reportEvent"),
        fields(**OF_TOY, **_RECORD, eventType=STRING, details=_SCALARS, isUrgent=BOOLEAN),
    ),
    "devices:ackCommand": Function(
        _acknowledge,
        fields(
            **OF_DEVICE,
            **_RECORD,
            commandId=STRING,
            outcome=literals(*OUTCOMES),
            # An export that is short stands in its acknowledgement.
            details=optional(record(ANY)),
        ),
    ),
}
