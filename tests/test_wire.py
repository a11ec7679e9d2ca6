"""What `devcloud/WIRE.md` says is what both sides of the wire do."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any, Final

import pytest

from devcloud import commands as cloud_commands
from devcloud.dialects.binary import BinaryDialect, Kind
from devcloud.dialects.dialect import Dialect
from devcloud.dialects.gateway import GatewayDialect
from devcloud.dialects.messages import ErrorCode
from devcloud.dialects.seed import SeedDialect
from devcloud.function import OF_DEVICE
from devcloud.record_functions import MUTATIONS
from firmware.cloud import authentication, cloud, commands, mutations, switching, uploads
from firmware.cloud.command import _KINDS as KINDS
from firmware.store import record
from firmware.stream.dialects import binary
from firmware.stream.dialects.binary import BinaryCodec
from firmware.stream.dialects.gateway import GatewayCodec
from firmware.stream.dialects.seed import SeedCodec
from firmware.stream.dialects.text import TextCodec
from firmware.stream.messages import (
    ERROR_CODES,
    Cancel,
    Dropped,
    FinalMarker,
    Handshake,
    Outgoing,
    Ping,
    Pong,
    SpeechPacket,
)
from hardware.pcm import FRAME_BYTES

DOCUMENT: Final = Path(__file__).parent.parent / "devcloud" / "WIRE.md"
TEXT: Final = DOCUMENT.read_text(encoding="utf-8")
CODECS: Final[dict[str, TextCodec]] = {
    "seed": SeedCodec(),
    "gateway": GatewayCodec(),
    "binary": BinaryCodec(),
}
DIALECTS: Final[dict[str, Dialect]] = {
    "seed": SeedDialect(),
    "gateway": GatewayDialect(),
    "binary": BinaryDialect(),
}
SILENCE: Final = bytes(FRAME_BYTES)
ADDED: Final = {"recordId", "timestamp", "clockSet", "ageMs"}
"""Arguments that every record has, which the document says once for all."""


def section(name: str) -> str:
    """Return what stands between the two marks of a checked section."""
    _, rest = TEXT.split(f"<!-- {name}: checked -->\n")
    return rest.split(f"<!-- end of {name} -->")[0]


def names(cell: str) -> list[str]:
    """Return what is written as code in a cell, outside parentheses."""
    return re.findall(r"`([^`]+)`", re.sub(r"\([^)]*\)", "", cell))


def rows(name: str) -> list[list[str]]:
    """Return the rows of a checked table, without its head."""
    lines = section(name).splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def messages(mark: str, dialect: str) -> list[dict[str, Any]]:
    """Return the messages of an example."""
    _, rest = TEXT.split(f"<!-- {mark} the toy: {dialect} -->\n```json\n")
    return [json.loads(line) for line in takewhile("```".__ne__, rest.splitlines())]


def sent(dialect: str, outgoing: Sequence[Outgoing]) -> list[dict[str, Any]]:
    """Return what the toy writes, with a frame of silence abbreviated as in the document."""
    written = [str(CODECS[dialect].encode(message)) for message in outgoing]
    return [json.loads(text.replace(SILENCE.hex(), "0000…")) for text in written]


def test_the_functions_are_those_that_the_toy_calls() -> None:
    told = [names(row[0])[0] for row in rows("functions")]
    assert told == [
        authentication.FUNCTION,
        switching.CONFIGURATION,
        cloud.COMMANDS_FUNCTION,
        commands.ACKNOWLEDGE,
        record.REPORT_FUNCTION,
        record.CONVERSATION_FUNCTION,
        record.METRICS_FUNCTION,
        mutations.BATCH_FUNCTION,
        record.LOG_FUNCTION,
        uploads.URL_FUNCTION,
    ]


def test_the_arguments_are_those_that_the_cloud_takes() -> None:
    for row in rows("functions"):
        function = MUTATIONS.get(names(row[0])[0])
        if function is not None:
            taken: set[str] = set(function.arguments.fields)  # type: ignore[attr-defined]
            assert set(names(row[2])) == taken - ADDED - OF_DEVICE.keys(), row[0]


def test_the_commands_are_those_that_both_sides_know() -> None:
    told = {names(row[0])[0]: set(names(row[1])) for row in rows("commands")}
    assert list(told) == list(KINDS)
    assert told == {kind: set(fields) for kind, fields in cloud_commands._KINDS.items()}


def test_the_outcomes_are_those_that_the_cloud_takes() -> None:
    assert names(section("outcomes")) == list(cloud_commands.OUTCOMES)


def test_the_error_codes_are_those_that_both_sides_know() -> None:
    assert names(section("errors")) == [code.value for code in ErrorCode]
    assert [*names(section("errors")), "OTHER"] == list(ERROR_CODES)


def test_the_kinds_of_binary_messages_are_those_of_both_sides() -> None:
    told = [int(row[0]) for row in rows("kinds")]
    assert told == list(Kind)
    assert told == [
        *(binary.SPEECH, binary.SPEECH_END),
        *(binary.REPLY_OPUS, binary.REPLY_PCM, binary.REPLY_END),
    ]


@pytest.mark.parametrize(
    ("dialect", "speech"), [("seed", bytes.fromhex("f8fffe")), ("gateway", SILENCE)]
)
def test_what_the_toy_sends_is_as_written(dialect: str, speech: bytes) -> None:
    outgoing: list[Outgoing] = [
        Handshake("dev-1", "toy-1", 12_300, offers_binary=True),
        SpeechPacket(speech, 12_340, 0),
        FinalMarker(12_360, 1),
        Ping(),
        Pong(),
    ]
    assert sent(dialect, outgoing) == messages("from", dialect)


def test_in_the_binary_dialect_the_toy_can_also_cancel() -> None:
    assert sent("binary", [Cancel(7)]) == messages("from", "binary")


@pytest.mark.parametrize("dialect", CODECS)
def test_the_toy_takes_every_message_that_it_is_said_to_take(dialect: str) -> None:
    told = messages("to", dialect)
    assert {message["type"] for message in told} == CODECS[dialect].decoders.keys()
    for message in told:
        assert not isinstance(CODECS[dialect].receive(json.dumps(message)), Dropped), message


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_development_cloud_reads_what_the_toy_is_said_to_send(dialect: str) -> None:
    for message in messages("from", dialect):
        DIALECTS[dialect].read(json.dumps(message).replace("0000\\u2026", SILENCE.hex()))


@pytest.mark.parametrize(
    ("dialect", "writes"),
    [
        ("seed", lambda to: to.handshake_ack("s-1")),
        ("gateway", lambda to: to.handshake_ack("s-1")),
        ("gateway", lambda to: to.thinking()),
        ("seed", lambda to: to.transcript("go forward", 7)),
        ("gateway", lambda to: to.transcript("go forward", 7)),
        ("binary", lambda to: to.transcript("go forward", 7)),
        ("gateway", lambda to: to.text_response("Off we go!", 7)),
        ("binary", lambda to: to.text_response("Off we go!", 7)),
        ("gateway", lambda to: to.error(ErrorCode.AUDIO_ERROR, "cannot be decoded", 7)),
        ("binary", lambda to: to.error(ErrorCode.AUDIO_ERROR, "cannot be decoded", 7)),
        ("gateway", lambda to: to.push({"type": "command", "command": "stop"})),
        ("gateway", lambda to: to.push({"type": "toy_config_update"})),
    ],
)
def test_the_development_cloud_writes_what_the_toy_is_said_to_take(
    dialect: str, writes: Callable[[Dialect], str]
) -> None:
    written = json.loads(writes(DIALECTS[dialect]))
    if dialect == "seed":
        written.pop("turn", None)  # the seed's dialect has it where the binary one borrows it
    told = messages("to", dialect)
    without_payload = {name: value for name, value in written.items() if value != {}}
    assert without_payload in told
