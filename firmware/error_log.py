"""The log of errors for the cloud: what went wrong and where, never with what.

A log call of ours is a template and its arguments. The template is our own text, written in the
source (a test holds every call to that); the arguments are the device's, and may be anything. So
the template is told and the arguments never are; of an exception, its class and the place it was
raised at.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Final, NamedTuple

from firmware.ports import Outlet
from firmware.store.record import LOG_FUNCTION
from hardware.clock import Clock

OWN_LOGGERS: Final = ("firmware", "hardware", "states")
"""Whose templates are ours. Those of others may be put together from anything."""
TEMPLATES_MAX: Final = 32
"""Different troubles told between two calls of `tell_repeats`; of further ones only the count."""
TEMPLATE_CHARS_MAX: Final = 200
CODE_CHARS_MAX: Final = 100


class Trouble(NamedTuple):
    """What makes two log records the same."""

    level: str
    code: str
    template: str
    error: str
    raised_at: str


_SUPPRESSED: Final = Trouble("warning", __name__, "further troubles were too many to tell", "", "")


class ErrorLog(logging.Handler):
    """Turns warnings and errors of our own loggers into bulk records for the cloud.

    The first of its kind is told at once; repeats are counted and told by `tell_repeats`, which
    somebody calls now and then. So between two calls there are at most `TEMPLATES_MAX` records and
    as many again of repeats, however often a trouble comes.

    Log calls come from any thread, and from whoever stores or sends these very records: what is
    logged while a record is put is not told, and nothing raised here ever reaches a caller.

    Args:
        clock: Hands over to the loop.
        outlet: Where records go.
    """

    def __init__(self, clock: Clock, outlet: Outlet) -> None:
        super().__init__(logging.WARNING)
        self.failures = 0
        """Records that could not be told because something here failed."""
        self.suppressed = 0
        """Records of troubles that were too many at once."""
        self._clock = clock
        self._outlet = outlet
        self._lock = threading.Lock()
        # Under the lock.
        self._repeats: dict[Trouble, int] = {}
        self._putting_thread: int | None = None
        self._suppressed_untold = 0

    def install(self) -> Callable[[], None]:
        """Begin to listen to our own loggers; call what is returned to end it."""
        loggers = [logging.getLogger(name) for name in OWN_LOGGERS]
        for logger in loggers:
            logger.addHandler(self)

        def uninstall() -> None:
            for logger in loggers:
                logger.removeHandler(self)

        return uninstall

    def emit(self, record: logging.LogRecord) -> None:
        """Take a record; see `logging.Handler`. Any thread, quick, and never an exception."""
        try:
            self._take(record)
        except Exception:  # noqa: BLE001 - a log call must not fail, whatever was logged
            self.failures += 1

    def tell_repeats(self) -> None:
        """Tell how often each trouble came again, and begin to count anew; loop thread only."""
        with self._lock:
            repeats, self._repeats = self._repeats, {}
            suppressed, self._suppressed_untold = self._suppressed_untold, 0
        for trouble, count in repeats.items():
            if count:
                self._put(trouble, count)
        if suppressed:
            self._put(_SUPPRESSED, suppressed)

    def _take(self, record: logging.LogRecord) -> None:
        if record.name.partition(".")[0] not in OWN_LOGGERS:
            return
        if self._putting_thread == threading.get_ident():
            return
        trouble = _trouble(record)
        with self._lock:
            if trouble in self._repeats:
                self._repeats[trouble] += 1
                return
            if len(self._repeats) >= TEMPLATES_MAX:
                self.suppressed += 1
                self._suppressed_untold += 1
                return
            self._repeats[trouble] = 0
        self._clock.call_soon_threadsafe(partial(self._put, trouble, 1))

    def _put(self, trouble: Trouble, count: int) -> None:
        """Put a record, deaf meanwhile to what this thread logs; never raises."""
        context: dict[str, object] = {"template": trouble.template, "count": count}
        if trouble.error:
            context |= {"error": trouble.error, "raisedAt": trouble.raised_at}
        self._putting_thread = threading.get_ident()
        try:
            self._outlet.put(
                LOG_FUNCTION,
                {"level": trouble.level, "code": trouble.code, "context": context},
                urgent=False,
            )
        except Exception:  # noqa: BLE001 - whatever the outbox suffers from, it must not spread
            self.failures += 1
        finally:
            self._putting_thread = None


def _trouble(record: logging.LogRecord) -> Trouble:
    """Return what may be told of a record: nothing that its arguments or its exception say."""
    # What is not a text is an object that somebody logged: its words are not ours.
    template = record.msg if isinstance(record.msg, str) else type(record.msg).__name__
    error, raised_at = "", ""
    if record.exc_info is not None and record.exc_info[0] is not None:
        error = record.exc_info[0].__name__
        raised_at = _place(record.exc_info[2])
    return Trouble(
        record.levelname.lower(),
        f"{record.name}:{record.funcName}"[:CODE_CHARS_MAX],
        template[:TEMPLATE_CHARS_MAX],
        error[:CODE_CHARS_MAX],
        raised_at[:CODE_CHARS_MAX],
    )


def _place(origin: TracebackType | None) -> str:
    """Return the innermost place in our own code that an exception passed, or an empty text."""
    place = ""
    while origin is not None:
        module = origin.tb_frame.f_globals.get("__name__", "")
        if module.partition(".")[0] in OWN_LOGGERS:
            place = f"{module}:{origin.tb_frame.f_code.co_name}:{origin.tb_lineno}"
        origin = origin.tb_next
    return place
