"""The sound server tells when a microphone is opened and closed."""

from __future__ import annotations

import asyncio
import time

import pytest

from simulator.errors import SoundServerError
from simulator.sound_server import SoundServer
from simulator.streams_watch import StreamsWatch


def test_opening_and_closing_are_told_when_they_happen() -> None:
    async def scenario() -> None:
        async with SoundServer() as sound, StreamsWatch(sound) as watch:
            began_ms = time.monotonic() * 1000
            async with sound.record("microphone"):
                opened_ms = time.monotonic() * 1000
            closed_ms = await watch.closed_ms(opened_ms)
            assert opened_ms <= closed_ms <= time.monotonic() * 1000
            assert any(change.is_open and change.ms >= began_ms for change in watch.changes)
            with pytest.raises(SoundServerError, match="no microphone was closed"):
                await watch.closed_ms(time.monotonic() * 1000, 0.05)

    asyncio.run(asyncio.wait_for(scenario(), 30))
