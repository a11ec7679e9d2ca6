"""What the fields of a message may hold, whatever the dialect.

What must be exact is dropped when it is not. What stops the toy is not: a stop with a malformed
duration or an unknown word is still a stop.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Mapping
from typing import Final, TypeAlias, TypeGuard, cast

from firmware.stream.codec import (
    DURATION_S_MAX,
    MESSAGE_BYTES_MAX,
    NAME_CHARS_MAX,
    PCM_RATE_HZ_MAX,
    PCM_RATE_HZ_MIN,
    SAMPLE_RATES_HZ,
    SEQUENCE_MAX,
    TEXT_CHARS_MAX,
    TURN_MAX,
)
from firmware.stream.errors import MessageError, PacketError
from firmware.stream.messages import (
    ERROR_CODES,
    DropReason,
    ErrorCode,
    GatewayError,
    GuardianCommand,
    SafetyOverride,
)
from hardware.codec import PACKET_BYTES_MAX
from hardware.pcm import FRAME_BYTES

Fields: TypeAlias = Mapping[str, object]

_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")
"""Half a character, as JSON can escape one: no text that can be written anywhere."""


def checked_packet(packet: bytes) -> bytes:
    """Return an Opus packet that can be sent.

    Raises:
        PacketError: It is empty or longer than `PACKET_BYTES_MAX`.
    """
    if not 0 < len(packet) <= PACKET_BYTES_MAX:
        raise PacketError(
            f"a packet of {len(packet)} bytes cannot be sent: give 1 to {PACKET_BYTES_MAX}"
        )
    return packet


def checked_frame(frame: bytes) -> bytes:
    """Return a frame of PCM that can be sent.

    Raises:
        PacketError: It does not have `FRAME_BYTES`.
    """
    if len(frame) != FRAME_BYTES:
        raise PacketError(f"a frame of {len(frame)} bytes cannot be sent: give {FRAME_BYTES}")
    return frame


def nested(fields: Fields, name: str) -> Fields:
    """Return the object in a field, or all of the fields where there is none.

    Gateways differ in what they wrap up; what is needed is looked for where it is.
    """
    value = fields.get(name)
    return cast("Fields", value) if isinstance(value, dict) else fields


def is_integer(value: object) -> TypeGuard[int]:
    """Tell whether it is a whole number; `true` is none."""
    return isinstance(value, int) and not isinstance(value, bool)


def flag(fields: Fields, name: str) -> bool:
    """Return the field, which is off if left out."""
    value = fields.get(name, False)
    if not isinstance(value, bool):
        raise MessageError(DropReason.BAD_FIELD, name)
    return value


def sequence(fields: Fields) -> int:
    """Return the field of that name."""
    value = fields.get("sequence")
    if not is_integer(value) or not 0 <= value <= SEQUENCE_MAX:
        raise MessageError(DropReason.BAD_FIELD, "sequence")
    return value


def turn(fields: Fields) -> int | None:
    """Return the field of that name, or None where it is left out."""
    value = fields.get("turn")
    if value is None or (is_integer(value) and 0 <= value <= TURN_MAX):
        return value
    raise MessageError(DropReason.BAD_FIELD, "turn")


def opus_rate_hz(fields: Fields) -> int:
    """Return the sample rate of a reply in Opus."""
    value = fields.get("sampleRate")
    if not is_integer(value) or value not in SAMPLE_RATES_HZ:
        raise MessageError(DropReason.BAD_SAMPLE_RATE, "sampleRate")
    return value


def pcm_rate_hz(fields: Fields) -> int:
    """Return the sample rate of a reply in samples."""
    value = fields.get("sampleRate")
    if not is_integer(value) or not PCM_RATE_HZ_MIN <= value <= PCM_RATE_HZ_MAX:
        raise MessageError(DropReason.BAD_SAMPLE_RATE, "sampleRate")
    return value


def hexadecimal(fields: Fields, bytes_max: int = MESSAGE_BYTES_MAX) -> bytes:
    """Return the bytes in the field `data`, at least one."""
    data = fields.get("data")
    if not isinstance(data, str) or not 0 < len(data) <= 2 * bytes_max:
        raise MessageError(DropReason.BAD_PACKET, "data")
    try:
        # Unlike `bytes.fromhex` it takes no white space.
        return binascii.unhexlify(data)
    except ValueError:
        raise MessageError(DropReason.BAD_PACKET, "data") from None


def text(fields: Fields, name: str = "text") -> str:
    """Return words."""
    found = lenient_text(fields, name, TEXT_CHARS_MAX)
    if found != fields.get(name):
        raise MessageError(DropReason.BAD_FIELD, name)
    return found


def lenient_text(fields: Fields, name: str, chars_max: int = NAME_CHARS_MAX) -> str:
    """Return the field, or nothing where it is no text, too long or not sound Unicode."""
    found = fields.get(name)
    if not isinstance(found, str) or len(found) > chars_max or _SURROGATE.search(found):
        return ""
    return found


def duration_s(fields: Fields) -> float:
    """Return the field `duration`, held within its range; 0 where it says nothing usable."""
    value = fields.get("duration")
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0.0
    return float(min(max(value, 0), DURATION_S_MAX))


def error_code(*candidates: object) -> ErrorCode:
    """Return the first that is a known code, or ``OTHER``."""
    return next((known for one in candidates for known in ERROR_CODES if known == one), "OTHER")


def error(fields: Fields) -> GatewayError:
    """Return the error in fields `code` and `message`."""
    message = lenient_text(fields, "message", TEXT_CHARS_MAX)
    return GatewayError(error_code(fields.get("code")), message)


def command(fields: Fields) -> GuardianCommand:
    """Return the command in fields `command` and `duration`."""
    name = lenient_text(fields, "command")
    if not name:
        raise MessageError(DropReason.BAD_FIELD, "command")
    return GuardianCommand(name, duration_s(fields))


def override(fields: Fields) -> SafetyOverride:
    """Return the order in fields `action` and `duration`."""
    return SafetyOverride(lenient_text(fields, "action"), duration_s(fields))
