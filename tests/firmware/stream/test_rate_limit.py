"""How often something may happen."""

from __future__ import annotations

import asyncio

from firmware.stream.rate_limit import RateLimit
from hardware.clock import Clock
from hardware.sim.clock import run_virtual


def test_each_kind_has_its_own_allowance_each_second() -> None:
    """What one kind uses up another still has, and the next second brings all of it back."""

    async def main() -> None:
        limit = RateLimit(Clock(), 3)
        for _ in range(2):
            assert [limit.allows("a") for _ in range(5)] == [True] * 3 + [False] * 2
            assert limit.allows("b")
            await asyncio.sleep(0.999)
            assert not limit.allows("a")
            await asyncio.sleep(0.001)

    run_virtual(main())
