"""New tokens while a child speaks: nobody notices."""

from __future__ import annotations

from random import Random

from firmware.cloud.authentication import Authentication
from tests.firmware.cloud.examples import GRANT, IDENTITY, settings
from tests.firmware.cloud.scripted import ScriptedCalls
from tests.firmware.stream.stage import on_loop, stage


@on_loop
async def test_a_turn_goes_on_under_the_token_with_which_it_began() -> None:
    """Speech, renewal, speech, renewal, reply: one connection. The next has the newest token."""
    async with stage(token=None) as scene:
        grants = [{**GRANT, "websocketToken": f"token-{number}"} for number in (1, 2, 3)]
        authentication = Authentication(
            settings(retry_delay_ms_min=1, retry_delay_ms_max=4),
            IDENTITY,
            ScriptedCalls(scene.clock, *grants),
            clock=scene.clock,
            post=scene.loop.post,
            random=Random(1),  # noqa: S311 - waits
            on_tokens=[lambda tokens: scene.stream.set_token(tokens.websocket)],
        )

        async def renew(count: int) -> None:
            authentication.effects["authenticate"]()
            await scene.loop.until("tokens_granted", count=count)

        await renew(1)
        session = await scene.gateway.session(1)
        await scene.open_turn(1)
        scene.stream.send(b"before", captured_ms=0)
        await renew(2)
        scene.speak(b"after")
        await session.utterances(1)
        await renew(3)
        await session.reply(b"one", b"two")
        await scene.playback.until_end(1)
        assert session.speech == [b"before", b"after"]
        assert scene.playback.of_turn(1) == [b"one", b"two"]
        assert scene.gateway.tokens == ["token-1"]
        assert "link_down" not in scene.loop.names
        assert "tokens_lost" not in scene.loop.names
        scene.perform("end_turn", turn=1, outcome="answered")
        session.cut()
        await scene.gateway.session(2)
        assert scene.gateway.tokens == ["token-1", "token-3"]
        await authentication.close()
