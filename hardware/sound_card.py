"""The thread that PortAudio has to itself: it opens and closes what the two lines want.

Nothing of PortAudio is ever called on the loop: a sound server that hangs must not stop the toy. If
this thread hangs with it, the lines' watch on the loop finds their callbacks missing; what they
want then is done when the thread goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from hardware.errors import SoundError, SoundStreamError
from hardware.portaudio import PortAudio

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    from hardware.clock import Clock
    from hardware.portaudio import Stream
    from hardware.sound_line import Line, Session

ANEW_MS: Final = 60_000
"""How often PortAudio may begin anew for one line's sake although that interrupts the other."""

CLOSE_TIMEOUT_S: Final = 0.5
"""How long closing waits for the thread."""

_log = logging.getLogger(__name__)


class SoundCard:
    """Both directions of the sound card; make it on the running loop, ``await close()`` it.

    Args:
        clock: Whose time.
        thread: One thread for it alone, which must not keep the process alive: it may hang for
            ever. It is shut down at the end.
        portaudio: The library; the thread's own from then on.
    """

    def __init__(self, clock: Clock, thread: Executor, portaudio: PortAudio | None = None) -> None:
        self._clock = clock
        self._portaudio = PortAudio() if portaudio is None else portaudio
        self._loop = asyncio.get_running_loop()
        self._thread = thread
        self._lines: list[Line[Any]] = []
        self._is_closed = False
        self._is_settling = False
        self._inspected: set[Line[Any]] = set()
        self._probes: dict[Line[Any], asyncio.Future[SoundError | None]] = {}
        # What follows is the thread's.
        self._streams: dict[Line[Any], tuple[Session, Stream]] = {}
        self._anew_ms: int | None = None

    def add(self, line: Line[Any]) -> None:
        """Take care of another line."""
        self._lines.append(line)

    def settle(self) -> None:
        """Open and close streams as they are wanted now; on the loop."""
        if not self._is_settling and not self._is_closed:
            self._is_settling = True
            self._loop.run_in_executor(self._thread, self._settle)

    def settle_from_thread(self) -> None:
        """Do the same, in any thread, whatever the loop is doing."""
        with contextlib.suppress(Exception):  # it is shut down: everything is closed
            self._thread.submit(self._settle)

    def inspect(self, line: Line[Any]) -> None:
        """Look whether a line's stream is alive; the line is told if it is not."""
        if line not in self._inspected and not self._is_closed:
            self._inspected.add(line)
            self._loop.run_in_executor(self._thread, self._inspect, line)

    def probe(self, line: Line[Any]) -> asyncio.Future[SoundError | None]:
        """Return what keeps a line from being opened, or None if nothing does.

        Whoever asks while that is being found out waits for the same: cancel it for nobody.
        """
        if self._is_closed:
            future: asyncio.Future[SoundError | None] = self._loop.create_future()
            future.cancel()
            return future
        probe = self._probes.get(line)
        if probe is None or probe.done():
            probe = self._loop.run_in_executor(self._thread, self._probe, line)
            self._probes[line] = probe
        return probe

    async def close(self) -> None:
        """Close everything, and wait for it a little. Nothing may follow."""
        for line in self._lines:
            line.end()
        self._is_closed = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._loop.run_in_executor(self._thread, self._end)
        self._thread.shutdown(wait=False)

    def _settle(self) -> None:
        self._is_settling = False
        for line, (session, _) in list(self._streams.items()):
            if session is not line.session or not session.is_wanted:
                self._close(line)
        for line in self._lines:
            wanted = line.session
            if line not in self._streams and wanted is not None and wanted.is_wanted:
                self._open(line, wanted)

    def _open(self, line: Line[Any], session: Session) -> None:
        """Open a stream and let it run; if that fails, look for the devices there are now."""
        error = self._tried(line, partial(self._start, line, session))
        if error is not None:
            session.is_live = False
            self._tell(line, session, error)

    def _tried(self, line: Line[Any], attempt: Callable[[], None]) -> SoundError | None:
        error = _error_of(attempt)
        if error is not None and self._begin_anew(line):
            error = _error_of(attempt)
        return error

    def _start(self, line: Line[Any], session: Session) -> None:
        self._streams[line] = session, self._stream(line, session)
        try:
            self._streams[line][1].start_stream()
        except (OSError, ValueError) as error:
            self._close(line)
            raise SoundStreamError(f"the {line.direction} cannot be started ({error})") from error

    def _stream(self, line: Line[Any], session: Session) -> Stream:
        device = self._portaudio.find(line.direction, line.name)
        form = self._portaudio.form_of(line.direction, device)
        session.prepare(form)
        return self._portaudio.open(line.direction, device, form, session.callback)

    def _begin_anew(self, line: Line[Any]) -> bool:
        """End PortAudio, so that it looks for devices again; unless the other line would suffer."""
        others = [other for other in self._streams if other is not line]
        now_ms = self._clock.monotonic_ms()
        if others and self._anew_ms is not None and now_ms - self._anew_ms < ANEW_MS:
            return False
        if others:
            self._anew_ms = now_ms
            self.settle_from_thread()
        for each in list(self._streams):
            self._close(each)
        self._portaudio.end()
        return True

    def _inspect(self, line: Line[Any]) -> None:
        self._inspected.discard(line)
        if line not in self._streams:
            return
        session, stream = self._streams[line]
        try:
            is_active = stream.is_active()
        except (OSError, ValueError):
            is_active = False
        if not is_active:
            problem = f"the {line.direction} has stopped: was it disconnected?"
            self._tell(line, session, SoundStreamError(problem))

    def _probe(self, line: Line[Any]) -> SoundError | None:
        if line in self._streams:
            return None
        return self._tried(line, partial(self._open_and_close, line))

    def _open_and_close(self, line: Line[Any]) -> None:
        device = self._portaudio.find(line.direction, line.name)
        form = self._portaudio.form_of(line.direction, device)
        self._portaudio.open(line.direction, device, form, lambda *_: (None, 0)).close()

    def _close(self, line: Line[Any]) -> None:
        _, stream = self._streams.pop(line)
        try:
            stream.close()
        except (OSError, ValueError) as error:
            _log.debug("the %s had ended already (%s)", line.direction, error)

    def _end(self) -> None:
        for line in list(self._streams):
            self._close(line)
        self._portaudio.end()

    def _tell(self, line: Line[Any], session: Session, error: SoundError) -> None:
        self._clock.call_soon_threadsafe(partial(line.fail, session, error))


def _error_of(attempt: Callable[[], None]) -> SoundError | None:
    """Return what became of an attempt; PyAudio raises these two for whatever it does not like."""
    try:
        attempt()
    except SoundError as error:
        return error
    except (OSError, ValueError) as error:
        return SoundStreamError(f"PortAudio fails ({error})")
    return None
