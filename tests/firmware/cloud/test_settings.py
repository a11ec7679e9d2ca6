"""The cloud section: what may stand in it."""

from __future__ import annotations

import dataclasses

import pytest

from firmware.cloud.errors import AddressError, SettingError
from firmware.cloud.settings import CloudSettings, checked_address
from tests.firmware.cloud.examples import settings


def test_the_settings_as_delivered_can_be() -> None:
    """Defaults need no explanation, and each setting has one."""
    for field in dataclasses.fields(CloudSettings()):
        assert field.metadata["says"]
        assert field.metadata["unit"] == ("ms" if "_ms" in field.name else "")


@pytest.mark.parametrize(
    "name", [field.name for field in dataclasses.fields(CloudSettings) if "_ms" in field.name]
)
def test_no_duration_may_be_zero(name: str) -> None:
    """A wait of nothing is a loop that never rests; the error names the setting."""
    with pytest.raises(SettingError, match=f"^{name}: 0 ms: must be above 0$") as raised:
        settings(**{name: 0})
    assert raised.value.key == name


@pytest.mark.parametrize(
    ("least", "most"),
    [
        ("retry_delay_ms_min", "retry_delay_ms_max"),
        ("refused_delay_ms_min", "refused_delay_ms_max"),
        ("heartbeat_ms", "child_silence_ms_max"),
    ],
)
def test_a_shortest_wait_may_not_exceed_the_longest(least: str, most: str) -> None:
    """Both are named, since either may be the wrong one."""
    with pytest.raises(SettingError, match=f"^{least}: 9 ms: must not exceed {most}$"):
        settings(**{least: 9, most: 8})


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("https://toy.convex.cloud", "https://toy.convex.cloud"),
        ("https://toy.convex.cloud/", "https://toy.convex.cloud"),
        ("https://toy.convex.cloud:8443", "https://toy.convex.cloud:8443"),
        ("http://localhost:8210", "http://localhost:8210"),
        ("http://127.0.0.1:8210/", "http://127.0.0.1:8210"),
        ("http://127.1.2.3", "http://127.1.2.3"),
        ("http://[::1]:8210", "http://[::1]:8210"),
    ],
)
def test_an_address_is_brought_into_the_clients_form(url: str, address: str) -> None:
    """The official clients append their paths to it."""
    assert checked_address(url) == address


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("", "is empty"),
        ("http://toy.convex.cloud", "'http://toy.convex.cloud' must be https"),
        ("http://127.0.0.1.evil.example", "must be https"),
        ("http://localhost.evil.example", "must be https"),
        ("http://192.168.0.2", "must be https"),
        ("ws://localhost", "must be https"),
        ("ftp://toy.convex.cloud", "must be https"),
        ("toy.convex.cloud", "is not an address"),
        ("https://", "is not an address"),
        ("https://toy.convex.cloud:port", "is not an address"),
        ("https://[::1", "is not an address"),
        ("https://toy convex.cloud", "is not an address"),
        ("https://toy.convex.cloud\nHost: evil", "is not an address"),
        ("https://toy.convex.cloud/api", "goes on after the host"),
        ("https://toy.convex.cloud?a=1", "goes on after the host"),
        ("https://toy.convex.cloud#a", "goes on after the host"),
    ],
)
def test_an_address_that_cannot_be_called_is_named(url: str, problem: str) -> None:
    """Nothing but https leaves the machine, and the line says which address was meant."""
    with pytest.raises(AddressError) as raised:
        checked_address(url)
    assert raised.value.key == "url"
    assert problem in str(raised.value)


def test_a_password_in_an_address_is_not_shown() -> None:
    """The one part of an address that is a secret."""
    with pytest.raises(AddressError, match="holds a user name or password") as raised:
        checked_address("https://me:canary@toy.convex.cloud")
    assert "canary" not in str(raised.value)
