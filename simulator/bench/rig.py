"""A toy to measure: its process, a cloud, and the air between them, all on this machine."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from simulator.cloud_process import CloudProcess
from simulator.sound_recording import SoundRecording
from simulator.sound_server import MICROPHONE, SPEAKER, SoundServer
from simulator.streams_watch import StreamsWatch
from simulator.toy_process import Told, ToyProcess

PROOF: Final = "the-secret-of-the-bench"
WAKE_WORD: Final = "alexa"
REPLY_TONE_MS: Final = 6_000
"""Longer than is waited for before it is interrupted."""


class Rig:
    """``async with Rig() as rig``: a toy that is awake, listens for its wake word, and is recorded.

    Attributes:
        sound: The air.
        cloud: The cloud, whose replies are a tone.
        toy: The toy.
        microphone: A recording of what its microphone hears, from before it was started.
        speaker: One of what it plays.
        streams: When its microphone was opened and closed, by the sound server.

    Raises SoundServerError, CloudStartError or ToyLostError, which say what is missing.
    """

    sound: SoundServer
    cloud: CloudProcess
    toy: ToyProcess
    microphone: SoundRecording
    speaker: SoundRecording
    streams: StreamsWatch

    def __init__(self) -> None:
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
            self.sound = await stack.enter_async_context(SoundServer())
            self.cloud = await stack.enter_async_context(CloudProcess(PROOF))
            self.microphone = await stack.enter_async_context(self.sound.record("microphone"))
            self.speaker = await stack.enter_async_context(self.sound.record("speaker"))
            self.streams = await stack.enter_async_context(StreamsWatch(self.sound))
            await self.cloud.put("configuration", {"wakeWord": WAKE_WORD, "wakeWordEnabled": True})
            await self.cloud.post("stream-options", {"reply_tone_ms": REPLY_TONE_MS})
            self.toy = await stack.enter_async_context(
                ToyProcess(folder / "data", self._environment(folder))
            )
            await self.toy.until(lambda step: step.to == "idle.awake")
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    async def at(self, state: str, since: int) -> Told:
        """Wait until the toy has come to a state in a step from a number on, and return the step.

        Raises ToyLostError.
        """
        return self.toy.steps[await self.toy.until(lambda step: step.to == state, since)]

    async def speak(self, said: bytes) -> float:
        """Hold the button, say something, let go; return when it was pressed, once a reply begins.

        Raises ToyLostError when none does.
        """
        begin = len(self.toy.steps)
        pressed_ms = time.monotonic() * 1000
        self.toy.type("press")
        await self.at("streaming.sending", begin)
        await self.sound.say(said)
        self.toy.type("release")
        await self.at("speaking", begin)
        return pressed_ms

    def _environment(self, folder: Path) -> Mapping[str, str]:
        secret = folder / "secret"
        secret.write_text(PROOF)
        secret.chmod(0o600)
        return {
            **self.sound.environment,
            "POMMAI_IDENTITY_DEVICE_ID": "dev-sim-1",
            "POMMAI_IDENTITY_TOY_ID": "toy-sim-1",
            "POMMAI_IDENTITY_SECRET_FILE": str(secret),
            "POMMAI_CLOUD_URL": self.cloud.convex_url,
            "POMMAI_STREAM_URL": self.cloud.stream_url,
            "POMMAI_SOUND_MICROPHONE": MICROPHONE,
            "POMMAI_SOUND_SPEAKER": SPEAKER,
        }
