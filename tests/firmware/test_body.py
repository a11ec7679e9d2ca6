"""The body: lights that show, parts that are tested."""

from __future__ import annotations

import asyncio

from firmware.body import Body
from hardware.clock import Clock
from hardware.sim.board import SimBoard
from hardware.sim.clock import run_virtual
from tests.firmware.voice.rig import Posted


def test_the_light_shows_what_the_effect_says() -> None:
    """Pattern and microphone sign reach the lights, at once."""

    async def main() -> None:
        board = SimBoard(Clock())
        body = Body(board.lights, Posted(), {})
        body.effects["light"](pattern="blue-solid", microphone="capture")
        (shown,) = board.light_history
        assert (shown.monotonic_ms, shown.pattern, shown.microphone) == (0, "blue-solid", "capture")
        assert board.colour.blue > 0
        board.close()

    run_virtual(main())


def test_the_parts_that_fail_their_test_are_named() -> None:
    """All parts are tested, whatever the first one says; one whose test raises has failed."""

    async def main() -> None:
        board, posted, asked = SimBoard(Clock()), Posted(), list[str]()

        async def probe(name: str, *, works: bool) -> bool:
            asked.append(name)
            await asyncio.sleep(1)
            if name == "horn":
                raise ZeroDivisionError
            return works

        probes = {
            "button": lambda: probe("button", works=True),
            "microphone": lambda: probe("microphone", works=False),
            "horn": lambda: probe("horn", works=True),
            "speaker": lambda: probe("speaker", works=False),
        }
        body = Body(board.lights, posted, probes)
        body.effects["test_parts"]()
        assert posted == []
        await asyncio.sleep(1.1)
        assert asked == list(probes)
        assert posted == [("parts_tested", {"failed": "microphone horn speaker"})]
        board.close()

    run_virtual(main())


def test_the_parts_are_tested_again_when_that_is_asked_for() -> None:
    """The first test is given up, and nothing is tested any more once the body is closed."""

    async def main() -> None:
        board, posted = SimBoard(Clock()), Posted()

        async def works() -> bool:
            await asyncio.sleep(1)
            return True

        body = Body(board.lights, posted, {"microphone": works})
        body.effects["test_parts"]()
        await asyncio.sleep(0.5)
        body.effects["test_parts"]()
        await asyncio.sleep(5)
        assert posted == [("parts_tested", {"failed": ""})]
        body.effects["test_parts"]()
        body.close()
        await asyncio.sleep(5)
        assert len(posted) == 1
        board.close()

    run_virtual(main())


def test_a_body_without_probes_reports_that_nothing_failed() -> None:
    """The start waits for the answer."""

    async def main() -> None:
        board, posted = SimBoard(Clock()), Posted()
        Body(board.lights, posted, {}).effects["test_parts"]()
        await asyncio.sleep(0.01)
        assert posted == [("parts_tested", {"failed": ""})]
        board.close()

    run_virtual(main())
