"""The hand-over of sound from the loop to the sound card."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from hardware.pcm import FRAME_BYTES, SAMPLE_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable


class OutputQueue:
    """Frames that are ready to sound. The loop puts them in, the speaker pulls them out.

    `pull` may be called by a sound card's thread, everything else belongs to the loop. The two
    share nothing but one deque, whose `append`, `popleft` and `clear` are each atomic in CPython;
    so no lock is held and neither waits for the other. A frame is either dropped by `clear` or
    pulled; one that was pulled in the same instant is already the sound card's.

    Args:
        on_frame: Told in the speaker's thread that a frame was pulled: make the next ones ready.
        on_silence: Told in the speaker's thread that there was none. Both must return at once and
            never raise, and will hand the news over to the loop.
        shape: Given each frame in the speaker's thread as it is pulled, returns what sounds; as
            `on_frame` it returns at once and never raises.
    """

    def __init__(
        self,
        on_frame: Callable[[], None],
        on_silence: Callable[[], None],
        shape: Callable[[bytes], bytes],
    ) -> None:
        self._shape = shape
        self._on_frame = on_frame
        self._on_silence = on_silence
        self._frames: deque[bytes] = deque()

    def __len__(self) -> int:
        """Return how many frames are ready."""
        return len(self._frames)

    def put(self, frame: bytes) -> None:
        """Add one frame of `FRAME_BYTES`; how many there may be is for the caller to limit."""
        self._frames.append(frame)

    def clear(self) -> None:
        """Drop what was not pulled yet."""
        self._frames.clear()

    def pull(self, samples: int) -> bytes:
        """Return a frame, or silence if none is ready: see `hardware.speaker.Source`.

        Speakers ask for a frame at a time. One that asks for another length gets it, but a frame
        that does not fit is cut: a sound card's callback must never be answered short.
        """
        wanted_bytes = samples * SAMPLE_BYTES
        try:
            frame = self._frames.popleft()
        except IndexError:
            self._on_silence()
            return bytes(wanted_bytes)
        self._on_frame()
        frame = self._shape(frame)
        if wanted_bytes != FRAME_BYTES:
            return frame[:wanted_bytes].ljust(wanted_bytes, b"\0")
        return frame
