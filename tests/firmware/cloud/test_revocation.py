"""Tokens and devices that the cloud no longer takes: told, survived, and mended by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from devcloud.signing import SigningKey
from tests.firmware.cloud.examples import IDENTITY, SECRET, settings
from tests.firmware.cloud.test_cloud import QUICK, development_cloud, run, toy_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from devcloud.server import DevelopmentCloud


def revoke_all(cloud: DevelopmentCloud) -> None:
    """Take back every token."""
    cloud.tokens.revoke()


def retire_the_key(cloud: DevelopmentCloud) -> None:
    """Sign with another key, and take what the old one signed no more."""
    cloud.tokens.rotate(SigningKey.make("ES256"), retire_old=True)


@pytest.mark.parametrize("spoil", [revoke_all, retire_the_key])
def test_tokens_that_were_taken_back_are_replaced(
    tmp_path: Path, spoil: Callable[[DevelopmentCloud], None]
) -> None:
    """The cloud's functions say so before the tokens are due, and the live query goes on."""

    async def test() -> None:
        async with (
            development_cloud() as cloud,
            toy_of(settings(cloud.convex_url, **QUICK), tmp_path) as toy,
        ):
            toy.authenticate()
            await toy.until_volume(80)
            spoil(cloud)
            cloud.deployment.configure({"volumeLimit": 30.0})
            await toy.until_volume(30)
            assert toy.table.named("tokens_lost") == [{}]
            assert len(toy.tokens) == 2
            assert toy.table.named("auth_failed") == []

    run(test)


def test_a_device_that_the_cloud_forgot_comes_back_when_it_is_known_again(tmp_path: Path) -> None:
    """Any call may say that it is not known; it is told as refused, and tried for ever."""

    async def test() -> None:
        async with (
            development_cloud() as cloud,
            toy_of(settings(cloud.convex_url, refused_delay_ms_min=100, **QUICK), tmp_path) as toy,
        ):
            toy.authenticate()
            await toy.until_volume(80)
            cloud.deployment.remove_device(IDENTITY.device_id)
            assert await toy.table.until("auth_failed", count=2) == {"refused": True}
            assert toy.table.named("tokens_lost") == [{}]
            assert toy.cloud.tokens is None
            cloud.deployment.add_device(IDENTITY.device_id, SECRET, IDENTITY.toy_id)
            await toy.table.until("tokens_granted", count=2)
            cloud.deployment.configure({"volumeLimit": 30.0})
            await toy.until_volume(30)

    run(test)
