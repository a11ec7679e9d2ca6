"""Finds out whether a wake word can be used, and what it takes to hear it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from firmware.voice.errors import WakeWordRefusedError
from firmware.voice.wake.micro import StockRecipe, stock_word
from firmware.voice.wake.prepared import Prepared


async def prepare(word: str | Path) -> Prepared:
    """Try a wake word. For a phrase this takes minutes on a Pi; cancel it at any time.

    Args:
        word: A phrase, or the file of a microWakeWord model that was fetched and verified.

    Raises:
        WakeWordRefusedError: It cannot be used; its reason says why.
    """
    stock = stock_word(word) if isinstance(word, str) else None
    if stock is None:
        raise WakeWordRefusedError("unavailable")
    prepared = Prepared(StockRecipe(stock))
    engine = await asyncio.to_thread(prepared.make)
    engine.close()
    return prepared
