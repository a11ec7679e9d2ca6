"""Tasks that are to go on for as long as the toy runs, whatever they meet."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

RESTART_MS_MIN: Final = 1_000
RESTART_MS_MAX: Final = 60_000

_log = logging.getLogger(__name__)


async def supervised(name: str, work: Callable[[], Awaitable[object]]) -> None:
    """Do work to its end, and begin it anew, after a while, as often as it fails.

    The wait doubles from `RESTART_MS_MIN` to `RESTART_MS_MAX`. Of what was raised only the class is
    logged: its text may hold anything. Cancel it as the work itself.

    Args:
        name: What it is, for logs.
        work: Begins it. It must be able to begin where another one failed.
    """
    delay_ms = RESTART_MS_MIN
    while True:
        try:
            await work()
        except Exception as error:  # noqa: BLE001 - a defect in one part must not end it for good
            _log.error("%s failed (%s): it begins anew", name, type(error).__name__)
        else:
            return
        await asyncio.sleep(delay_ms / 1000)
        delay_ms = min(2 * delay_ms, RESTART_MS_MAX)
