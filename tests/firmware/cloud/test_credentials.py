"""Who the device is, and what the cloud grants it."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.cloud.credentials import LIFETIME_S_MAX, LIFETIME_S_MIN, TOKEN_CHARS_MAX, Tokens
from firmware.cloud.errors import MalformedError
from firmware.stream.dialler import checked_credential
from tests.firmware.cloud.examples import CANARIES, CONVEX_TOKEN, GRANT, IDENTITY, WEBSOCKET_TOKEN


def test_a_grant_is_read() -> None:
    """The shorter lifetime counts for both tokens."""
    tokens = Tokens.parse(GRANT)
    assert (tokens.convex, tokens.websocket) == (CONVEX_TOKEN, WEBSOCKET_TOKEN)
    assert tokens.lifetime_s == 3600


def test_keys_of_a_newer_cloud_are_left_alone() -> None:
    """Nothing is refused for saying more."""
    assert Tokens.parse({**GRANT, "refreshToken": "x"}).convex == CONVEX_TOKEN


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *[
            (key, value)
            for key in ("convexToken", "websocketToken")
            for value in (
                None,
                7,
                "",
                ["a"],
                "a b",
                "a\r\nX-Evil: 1",
                "a\x00",
                "ä",
                "=",
                "a" * (TOKEN_CHARS_MAX + 1),
            )
        ],
        *[
            (key, value)
            for key in ("convexTokenLifetimeS", "websocketTokenLifetimeS")
            for value in (
                None,
                True,
                "3600",
                0,
                0.99,
                -1.0,
                LIFETIME_S_MAX + 1,
                float("nan"),
                float("inf"),
            )
        ],
    ],
)
def test_what_was_not_agreed_is_malformed_and_named(key: str, value: object) -> None:
    """The key is in the text; the value never is."""
    with pytest.raises(MalformedError, match=f"^{key} must be"):
        Tokens.parse({**GRANT, key: value})


@pytest.mark.parametrize("key", GRANT)
def test_every_key_must_be_there(key: str) -> None:
    """A token without a lifetime is none."""
    with pytest.raises(MalformedError, match=f"^{key} must be"):
        Tokens.parse({name: value for name, value in GRANT.items() if name != key})


PLAIN = st.none() | st.booleans() | st.floats() | st.integers() | st.text()


@given(PLAIN | st.lists(PLAIN) | st.dictionaries(st.sampled_from(sorted(GRANT)), PLAIN))
def test_whatever_comes_is_read_or_malformed(value: Any) -> None:  # noqa: ANN401 - anything
    """No value of the cloud's raises anything else."""
    with contextlib.suppress(MalformedError):
        assert Tokens.parse(value).lifetime_s >= LIFETIME_S_MIN


def test_tokens_and_secret_are_in_no_representation() -> None:
    """What is logged by accident shows none of them."""
    tokens = Tokens.parse(GRANT)
    shown = f"{tokens} {tokens!r} {[tokens]} {IDENTITY} {IDENTITY!r}"
    assert not [canary for canary in CANARIES if canary in shown]


def test_whatever_token_is_granted_the_stream_can_send() -> None:
    """A grant that is taken up is taken up by all."""
    longest = Tokens.parse({**GRANT, "websocketToken": "a" * (TOKEN_CHARS_MAX - 1) + "="})
    assert checked_credential(longest.websocket, "token") == longest.websocket


def test_two_grants_are_never_the_same() -> None:
    """A refusal of the older one says nothing about the newer, whatever is in them."""
    assert Tokens.parse(GRANT) != Tokens.parse(GRANT)
