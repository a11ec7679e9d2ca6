"""The configuration's section `stream`."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from firmware.stream.errors import AddressError, FaultError, SettingError
from firmware.stream.settings import (
    DIALECTS,
    StreamSettings,
    checked_address,
    gateway_address,
)

TEXTS = ("url", "ca_file", "pins", "dialect")


def test_defaults_are_those_of_the_contract() -> None:
    """4 s to open, 20 s and 10 s to keep alive, 1 to 60 s between attempts, 6 s of speech, 1 MB."""
    settings = StreamSettings()
    assert settings.open_timeout_ms == 4_000
    assert (settings.keepalive_interval_ms, settings.keepalive_timeout_ms) == (20_000, 10_000)
    assert (settings.retry_delay_ms_min, settings.retry_delay_ms_max) == (1_000, 60_000)
    assert settings.uplink_frames_max * 20 == 6_000
    assert settings.message_bytes_max == 1_000_000
    assert (settings.dialect, settings.hello_timeout_ms) == ("auto", 1_000)


def test_every_key_says_what_it_means_and_every_number_its_unit() -> None:
    """The command line's help is made of this."""
    for field in fields(StreamSettings):
        assert field.metadata["says"]
        assert bool(field.metadata["unit"]) == (field.name not in TEXTS)


@pytest.mark.parametrize(
    "name", [field.name for field in fields(StreamSettings) if field.name not in TEXTS]
)
def test_number_below_one_is_refused_by_name(name: str) -> None:
    """A limit or a time of nothing makes no sense."""
    values: dict[str, Any] = {name: 0}
    with pytest.raises(SettingError, match=f"^stream.{name} is 0: give 1 or more$") as caught:
        StreamSettings(**values)
    assert caught.value.key == name


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_dialect_can_be_set(dialect: str) -> None:
    """And to leave it open."""
    assert StreamSettings(dialect=dialect).dialect == dialect


@pytest.mark.parametrize("dialect", ["", "Seed", "json"])
def test_dialect_that_nobody_speaks_is_refused(dialect: str) -> None:
    """With those that are."""
    with pytest.raises(SettingError, match=r"^stream.dialect is .*: give auto, seed, gateway, bin"):
        StreamSettings(dialect=dialect)


@pytest.mark.parametrize(
    ("url", "dialled"),
    [
        ("wss://gateway.example", "wss://gateway.example/ws/d%2F1/t%201"),
        ("wss://gateway.example/", "wss://gateway.example/ws/d%2F1/t%201"),
        ("wss://gateway.example/a/", "wss://gateway.example/a/ws/d%2F1/t%201"),
        ("wss://gateway.example/a?b=c", "wss://gateway.example/a/ws/d%2F1/t%201?b=c"),
    ],
)
def test_gateway_dialect_has_an_address_for_each_toy(url: str, dialled: str) -> None:
    """Below the one that is set, whatever characters the names have."""
    assert gateway_address(url, "d/1", "t 1") == dialled


def test_address_of_the_gateway_dialect_is_checked_as_well() -> None:
    """No voice goes out in the clear."""
    with pytest.raises(AddressError, match="must begin with wss"):
        gateway_address("ws://far.example", "d", "t")


def test_shortest_wait_above_the_longest_is_refused() -> None:
    """Both are named."""
    with pytest.raises(SettingError, match=r"retry_delay_ms_min.*retry_delay_ms_max \(5\)"):
        StreamSettings(retry_delay_ms_min=6, retry_delay_ms_max=5)


@pytest.mark.parametrize(
    ("url", "dialled"),
    [
        ("wss://gateway.example/audio", "wss://gateway.example/audio"),
        ("wss://gateway.example", "wss://gateway.example/audio-stream"),
        ("wss://gateway.example:8443/", "wss://gateway.example:8443/audio-stream"),
        ("wss://gateway.example/a?b=c", "wss://gateway.example/a?b=c"),
        ("WSS://gateway.example/a", "wss://gateway.example/a"),
        ("ws://localhost:8080", "ws://localhost:8080/audio-stream"),
        ("ws://127.0.0.1:1/x", "ws://127.0.0.1:1/x"),
        ("ws://127.8.8.8/x", "ws://127.8.8.8/x"),
        ("ws://[::1]:1/x", "ws://[::1]:1/x"),
    ],
)
def test_safe_address_is_taken(url: str, dialled: str) -> None:
    """TLS to anywhere, plain text to this machine; the path may be left out."""
    assert checked_address(url) == dialled


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("ws://gateway.example/a", "must begin with wss://"),
        ("ws://192.168.1.1/a", "must begin with wss://"),
        ("ws://localhost.example/a", "must begin with wss://"),
        ("ws://127.0.0.1.example/a", "must begin with wss://"),
        ("https://gateway.example/a", "must begin with wss://"),
        ("gateway.example", "is not an address"),
        ("wss://", "is not an address"),
        ("wss://host:99999/", "is not an address"),
        ("wss://[::1/", "is not an address"),
        ("wss://host/a#b", "is not an address"),
        ("wss://host/a b", "is not an address"),
        ("wss://host/a\r\nX: y", "is not an address"),
        ("wss://höst/a", "is not an address"),
    ],
)
def test_unsafe_or_broken_address_is_refused_by_name(url: str, problem: str) -> None:
    """The error shows the address and says what is wrong with it."""
    with pytest.raises(AddressError, match=problem) as caught:
        checked_address(url)
    assert repr(url) in str(caught.value)
    assert (caught.value.key, caught.value.url) == ("url", url)
    assert isinstance(caught.value, FaultError)


def test_empty_address_is_refused_with_an_example() -> None:
    """Who has not set it learns what to set."""
    with pytest.raises(AddressError, match=r"^stream\.url is empty: give .* wss://host/path$"):
        checked_address("")


def test_address_with_a_password_is_not_shown() -> None:
    """Whoever wrote it there does not want to read it in a log."""
    with pytest.raises(AddressError, match="user name or password") as caught:
        checked_address("wss://user:hunter2@gateway.example/a")
    assert "hunter2" not in str(caught.value) + caught.value.url
