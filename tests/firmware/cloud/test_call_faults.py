"""The device's calls against a real cloud that answers wrongly: each comes back as what it is."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import pytest

from devcloud.garbage import GARBAGE
from devcloud.server import DevelopmentCloud
from devcloud.settings import Settings
from firmware.cloud.caller import Caller
from firmware.cloud.credentials import Tokens
from firmware.cloud.errors import (
    AuthenticationError,
    CloudFaultError,
    MalformedError,
    NetworkError,
    ServerError,
)
from tests.firmware.cloud.examples import IDENTITY, SECRET, settings

if TYPE_CHECKING:
    from collections.abc import Mapping

LIMIT_S: Final = 30
MUTATION: Final = "auth:authenticateDevice"
QUERY: Final = "toys:getConfiguration"


async def called(caller: Caller, token: str | None = None) -> object:
    """Authenticate, or with a token read the configuration."""

    def arguments() -> Mapping[str, object]:
        if token:
            return {"deviceId": IDENTITY.device_id, "toyId": IDENTITY.toy_id}
        return {"deviceId": IDENTITY.device_id, "deviceSecret": SECRET}

    def parse(value: object) -> object:
        return value if token else Tokens.parse(value)

    if token:
        return await caller.call("query", QUERY, arguments, parse, token=token)
    return await caller.call("mutation", MUTATION, arguments, parse)


def met(faults: dict[str, Any], *, token: bool) -> CloudFaultError:
    """Call under faults that strike once, and again; return what the first call raised."""

    async def main() -> CloudFaultError:
        async with (
            asyncio.timeout(LIMIT_S),
            DevelopmentCloud(Settings(port=0, device_secret=SECRET)) as cloud,
        ):
            caller = Caller(settings(cloud.convex_url))
            try:
                tokens = await called(caller)
                assert isinstance(tokens, Tokens)
                shown = tokens.convex if token else None
                cloud.faults.set(faults)
                with pytest.raises(CloudFaultError) as raised:
                    await called(caller, shown)
                assert cloud.faults.count(next(iter(faults))) == 1
                assert await called(caller, shown)
            finally:
                caller.close()
            return raised.value

    return asyncio.run(main())


@pytest.mark.parametrize("kind", GARBAGE)
def test_an_answer_that_is_none_is_malformed(kind: str) -> None:
    """Whatever comes, the call ends with an error of ours, and the next one works."""
    error = met({"garbage": {"kind": kind, "times": 1}}, token=False)
    assert isinstance(error, MalformedError)


@pytest.mark.parametrize("status", [400, 404, 429, 500, 502, 503, 599])
def test_a_status_is_told(status: int) -> None:
    """Whoever retries decides by it."""
    error = met({"http_status": {"status": status, "times": 1}}, token=False)
    assert isinstance(error, ServerError)
    assert error.status == status


def test_a_redirect_is_not_followed() -> None:
    """A secret goes to the address in the settings or nowhere."""
    error = met({"redirect": {"to": "http://127.0.0.1:9/", "times": 1}}, token=False)
    assert isinstance(error, ServerError)
    assert error.status == 307


def test_a_lost_answer_is_the_networks_fault() -> None:
    """The mutation may have been carried out: that is for its record's id to settle."""
    assert isinstance(met({"commit_then_drop": {"times": 1}}, token=False), NetworkError)


def test_an_expired_token_asks_for_a_new_one() -> None:
    """The next call, here with the same token, finds the cloud of another mind."""
    error = met({"expire_tokens": {"times": 1}}, token=True)
    assert isinstance(error, AuthenticationError)
