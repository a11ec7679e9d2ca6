"""The body: lights that show, parts that are tested."""

from __future__ import annotations

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
    """All parts are tested, whatever the first one says."""

    async def main() -> None:
        board, posted, asked = SimBoard(Clock()), Posted(), list[str]()

        def probe(name: str, *, works: bool) -> bool:
            asked.append(name)
            return works

        probes = {
            "button": lambda: probe("button", works=True),
            "microphone": lambda: probe("microphone", works=False),
            "speaker": lambda: probe("speaker", works=False),
        }
        Body(board.lights, posted, probes).effects["test_parts"]()
        assert asked == ["button", "microphone", "speaker"]
        assert posted == [("parts_tested", {"failed": "microphone speaker"})]
        board.close()

    run_virtual(main())


def test_a_body_without_probes_reports_that_nothing_failed() -> None:
    """The start waits for the answer."""

    async def main() -> None:
        board, posted = SimBoard(Clock()), Posted()
        Body(board.lights, posted, {}).effects["test_parts"]()
        assert posted == [("parts_tested", {"failed": ""})]
        board.close()

    run_virtual(main())
