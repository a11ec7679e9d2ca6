"""The settings of the cloud section."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, fields
from urllib.parse import urlsplit

from firmware.cloud.errors import AddressError, SettingError
from firmware.errors import PinError
from firmware.setting import setting
from firmware.tls import checked_pins


@dataclass(frozen=True, slots=True)
class CloudSettings:
    """How the cloud is reached, and how patiently.

    Raises:
        SettingError: A duration is not above 0, a shortest one exceeds its longest, or something
            that should be a pin is none.
    """

    url: str = setting("", "address of the Convex deployment; https, or http to this machine only")
    ca_file: str = setting(
        "", "file of certificate authorities to trust instead of the usual ones; empty: the usual"
    )
    pins: str = setting(
        "",
        "keys that the server may have, as sha256/<base64>, separated by spaces; empty: any. "
        "The live query's process knows no pins: there a ca_file of one's own does the same",
    )
    connect_timeout_ms: int = setting(3_000, "longest wait for a connection", unit="ms")
    read_timeout_ms: int = setting(8_000, "longest silence in an answer", unit="ms")
    call_deadline_ms: int = setting(15_000, "longest time for a call in all", unit="ms")
    upload_deadline_ms: int = setting(
        60_000, "longest time for an upload of speech in all", unit="ms"
    )
    retry_delay_ms_min: int = setting(
        1_000, "upper bound of the first wait after a failure; it doubles", unit="ms"
    )
    retry_delay_ms_max: int = setting(60_000, "upper bound of every wait after one", unit="ms")
    refused_delay_ms_min: int = setting(
        60_000, "the same where the credentials were refused", unit="ms"
    )
    refused_delay_ms_max: int = setting(
        3_600_000, "the same where the credentials were refused", unit="ms"
    )
    child_silence_ms_max: int = setting(
        5_000, "silence after which the live queries' process is replaced", unit="ms"
    )
    heartbeat_ms: int = setting(1_000, "time between that process's signs of life", unit="ms")
    renewal_interval_ms: int = setting(
        30_000, "time between proofs that the live queries' connection still works", unit="ms"
    )
    poll_interval_ms: int = setting(
        30_000, "time between questions while the live queries do not work", unit="ms"
    )

    def __post_init__(self) -> None:
        try:
            checked_pins(self.pins)
        except PinError as error:
            raise SettingError("pins", str(error)) from None
        for field in fields(self):
            if field.name.endswith("_ms") or "_ms_" in field.name:
                duration_ms = getattr(self, field.name)
                if duration_ms <= 0:
                    raise SettingError(field.name, f"{duration_ms} ms: must be above 0")
        for least, most in (
            ("retry_delay_ms_min", "retry_delay_ms_max"),
            ("refused_delay_ms_min", "refused_delay_ms_max"),
            ("heartbeat_ms", "child_silence_ms_max"),
        ):
            if getattr(self, least) > getattr(self, most):
                raise SettingError(least, f"{getattr(self, least)} ms: must not exceed {most}")


def checked_address(url: str) -> str:
    """Return `url` as the Convex clients want it: scheme, host and port, nothing behind them.

    Raises:
        AddressError: It is no such address, or would send secrets in the clear.
    """
    if not url:
        raise AddressError("url", "is empty: give the https address of the Convex deployment")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise AddressError("url", f"{url!r} is not an address") from None
    if parts.username is not None or parts.password is not None:
        # Not shown: whoever writes a password there does not want to read it in a log.
        raise AddressError("url", "holds a user name or password: remove it")
    if not host or not url.isprintable() or " " in url:
        raise AddressError("url", f"{url!r} is not an address: it must be https://host")
    if parts.path not in {"", "/"} or parts.query or parts.fragment:
        raise AddressError("url", f"{url!r} goes on after the host: remove what follows it")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
        raise AddressError("url", f"{url!r} must be https; http may only go to this machine")
    shown_host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown_host}" + ("" if port is None else f":{port}")


def is_loopback(host: str) -> bool:
    """Whether a host of an address is this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
