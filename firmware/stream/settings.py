"""The configuration's section `stream`."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, fields
from typing import Final
from urllib.parse import SplitResult, quote, urlsplit

from firmware.errors import PinError
from firmware.setting import setting
from firmware.stream.codec import MESSAGE_BYTES_MAX
from firmware.stream.errors import AddressError, SettingError
from firmware.tls import checked_pins

DEFAULT_PATH: Final = "/audio-stream"
"""Where the stream is when the address names only a host."""

DIALECTS: Final = ("auto", "seed", "gateway", "binary")
"""What may be spoken; ``auto`` leaves the choice between seed and binary to the gateway."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StreamSettings:
    """How the gateway is reached, and how patiently.

    Raises:
        SettingError: A number is below 1, a shortest wait exceeds its longest, something that
            should be a pin is none, or there is no such dialect.
    """

    url: str = setting("", "address of the gateway; wss, or ws to this machine only")
    ca_file: str = setting(
        "", "file of certificate authorities to trust instead of the usual ones; empty: the usual"
    )
    pins: str = setting(
        "", "keys that the gateway may have, as sha256/<base64>, separated by spaces; empty: any"
    )
    dialect: str = setting(
        "auto", "how it is spoken to: seed, gateway or binary; auto asks for binary, else seed"
    )
    hello_timeout_ms: int = setting(
        1_000, "longest wait for the answer that settles the dialect", unit="ms"
    )
    open_timeout_ms: int = setting(4_000, "longest wait for a connection to open", unit="ms")
    keepalive_interval_ms: int = setting(20_000, "time between two keep-alive pings", unit="ms")
    keepalive_timeout_ms: int = setting(10_000, "longest wait for a ping's answer", unit="ms")
    retry_delay_ms_min: int = setting(
        1_000, "upper bound of the first wait before another connection; it doubles", unit="ms"
    )
    retry_delay_ms_max: int = setting(60_000, "upper bound of every wait after one", unit="ms")
    settled_after_ms: int = setting(
        10_000, "age at which a connection has worked, and waits begin anew", unit="ms"
    )
    uplink_frames_max: int = setting(
        300, "speech that waits for a slow network; the oldest gives way", unit="frames of 20 ms"
    )
    message_bytes_max: int = setting(
        MESSAGE_BYTES_MAX, "longest message that the gateway may send", unit="bytes"
    )

    def __post_init__(self) -> None:
        try:
            checked_pins(self.pins)
        except PinError as error:
            raise SettingError("pins", str(error)) from None
        for field in fields(self):
            value = getattr(self, field.name)
            if field.metadata["unit"] and value < 1:
                raise SettingError(field.name, f"is {value}: give 1 or more")
        if self.dialect not in DIALECTS:
            raise SettingError("dialect", f"is {self.dialect!r}: give {', '.join(DIALECTS)}")
        if self.retry_delay_ms_min > self.retry_delay_ms_max:
            raise SettingError(
                "retry_delay_ms_min",
                f"is {self.retry_delay_ms_min}: "
                f"give at most retry_delay_ms_max ({self.retry_delay_ms_max})",
            )


def checked_address(url: str) -> str:
    """Return `url` as the stream dials it, with `DEFAULT_PATH` where it names only a host.

    Raises:
        AddressError: It is no such address, or would send speech and token in the clear.
    """
    parts = _checked(url)
    return parts._replace(path=parts.path if parts.path.strip("/") else DEFAULT_PATH).geturl()


def gateway_address(url: str, device_id: str, toy_id: str) -> str:
    """Return the address of one toy of one device below `url`, as the gateway dialect has it.

    Raises:
        AddressError: As for `checked_address`.
    """
    parts = _checked(url)
    below = "/".join(quote(name, safe="") for name in (device_id, toy_id))
    return parts._replace(path=f"{parts.path.rstrip('/')}/ws/{below}").geturl()


def _checked(url: str) -> SplitResult:
    if not url:
        raise AddressError("", "is empty: give the gateway's address, such as wss://host/path")
    if not (url.isascii() and url.isprintable()) or " " in url:
        raise AddressError(url, "is not an address: it must be wss://host/path")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise AddressError(url, "is not an address: it must be wss://host/path") from None
    if parts.username is not None or parts.password is not None:
        # Not shown: whoever writes a password there does not want to read it in a log.
        raise AddressError("", "holds a user name or password: remove it")
    if not host or parts.fragment:
        raise AddressError(url, "is not an address: it must be wss://host/path")
    if parts.scheme != "wss" and not (parts.scheme == "ws" and _is_loopback(host)):
        raise AddressError(url, "must begin with wss://; ws:// may only go to this machine")
    return parts


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
