"""The toy as a process: its steps are told, its button is pressed, and it is gone at the end."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from simulator import toy_process
from simulator.errors import ToyLostError
from simulator.toy_process import ToyProcess


def test_it_is_pressed_and_tells_what_it_does(tmp_path: Path) -> None:
    """Without an identity it waits to be set up; a press is too early then."""

    async def main() -> int:
        async with ToyProcess(tmp_path, {}) as toy:
            begun = await toy.until(lambda step: step.to == "boot.unprovisioned")
            assert abs(toy.steps[begun].at_ms - time.monotonic() * 1000) < 10_000
            toy.type("tap")
            pressed = await toy.until(lambda step: step.event == "press", begun)
            await toy.until(lambda step: step.event == "release", pressed)
            assert toy.state == "boot.unprovisioned"
            assert toy.steps[pressed].came_from == "boot.unprovisioned"
            assert "set-up" in toy.said
            return toy.pid

    assert not Path(f"/proc/{asyncio.run(main())}").exists()


def test_one_that_has_ended_is_told_with_its_last_words(tmp_path: Path) -> None:
    async def main() -> None:
        async with ToyProcess(tmp_path, {}) as toy:
            await toy.until(lambda step: step.to == "boot.unprovisioned")
            toy.type("quit")
            with pytest.raises(ToyLostError, match=r"has ended: .*shutdown"):
                await toy.until(lambda step: step.to == "idle.awake")

    asyncio.run(main())


def test_one_that_cannot_start_is_told_with_what_it_said(tmp_path: Path) -> None:
    async def main() -> None:
        async with ToyProcess(tmp_path, {"POMMAI_NO_SUCH_KEY": "1"}) as toy:
            with pytest.raises(ToyLostError, match="POMMAI_NO_SUCH_KEY"):
                await toy.until(lambda step: step.to == "idle.awake")

    asyncio.run(main())


def test_one_that_does_not_come_to_it_is_told_so(tmp_path: Path) -> None:
    async def main() -> None:
        async with ToyProcess(tmp_path, {}) as toy:
            await toy.until(lambda step: step.to == "boot.unprovisioned")
            with pytest.raises(ToyLostError, match=r"within 0\.05 s: .*boot\.unprovisioned"):
                await toy.until(lambda step: step.to == "idle.awake", wait_s=0.05)

    asyncio.run(main())


def test_one_that_does_not_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\ntrap '' TERM\nwhile :; do read line < /dev/zero; done\n")
    program.chmod(0o700)
    monkeypatch.setattr("sys.executable", str(program))
    monkeypatch.setattr(toy_process, "STOP_TIMEOUT_S", 0.2)

    async def main() -> int:
        async with ToyProcess(tmp_path, {}) as toy:
            return toy.pid

    assert not Path(f"/proc/{asyncio.run(main())}").exists()
