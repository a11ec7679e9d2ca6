"""Keeps one connection to the gateway up.

With a token it dials for ever, with full jitter between attempts. A connection must have worked for
a while before the waits begin anew, so that a gateway that takes everybody in and throws them out
again is not stormed; nor is one that refuses every token it is shown.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final, Protocol

from firmware.backoff import Backoff
from firmware.stream.connection import Connection
from firmware.stream.dialler import checked_credential
from firmware.stream.messages import Handshake

if TYPE_CHECKING:
    from random import Random

    from firmware.ports import Post
    from firmware.stream.connection import End
    from firmware.stream.counters import Counters
    from firmware.stream.dialects.choice import Dialects
    from firmware.stream.dialler import Dialler
    from firmware.stream.messages import Incoming
    from hardware.clock import Clock

_log: Final = logging.getLogger(__name__)

CLOSE_S_MAX: Final = 1.0
"""Longest that `close` takes."""


class Owner(Protocol):
    """Whom a link tells what happens on it."""

    def link_opened(self) -> None:
        """Note that there is a connection."""
        ...

    def link_received(self, message: Incoming) -> None:
        """Take a message of the present connection."""
        ...

    def link_flushed(self, turn: int) -> None:
        """Note that the socket has the turn's final marker."""
        ...

    def link_ended(self) -> None:
        """Note that the connection was lost, or that the attempt at one failed.

        `dial` called from here tries again at once instead of later.
        """
        ...


class Link:
    """One connection to the gateway, replaced whenever it ends; each has a number, from 1.

    Posts `link_up` for each connection that opens; `link_down` when one is lost or cannot be had,
    if the last word was not the same; `tokens_lost` when the gateway refuses the token.

    Args:
        dialler: How to get there.
        dialects: What can be spoken.
        counters: Where it counts.
        clock: Whose time.
        post: Where events go.
        random: Draws the waits.
        owner: Whom it tells.
    """

    def __init__(  # noqa: PLR0913 - the parts it is composed of
        self,
        dialler: Dialler,
        dialects: Dialects,
        counters: Counters,
        *,
        clock: Clock,
        post: Post,
        random: Random,
        owner: Owner,
    ) -> None:
        settings = dialler.settings
        self._dialler = dialler
        self._dialects = dialects
        self._counters = counters
        self._clock = clock
        self._post = post
        self._backoff = Backoff(settings.retry_delay_ms_min, settings.retry_delay_ms_max, random)
        self._owner = owner

        self.connection: Connection | None = None
        """The present connection, open or not yet."""
        self.is_open = False
        """Whether it is open."""
        self.generation = 0
        """The number of the last connection that opened."""
        self._token: str | None = None
        self._was_refused = False
        self._is_down = False
        self._is_closed = False
        self._retry: asyncio.TimerHandle | None = None
        self._settling: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def set_token(self, token: str | None) -> None:
        """Take the token to connect with from now on; with None, end what there is.

        A connection that is open or under way stays so under its own token. After a refusal the
        next one waits as after a failure. Does nothing once closed.

        Raises:
            CredentialError: The token cannot be put into a request; the one before stays.
        """
        if token is not None:
            checked_credential(token, "token")
        if self._is_closed:
            return
        self._token = token
        if token is None:
            self._cancel_retry()
            if self.connection is not None:
                self._drop()
                self._owner.link_ended()
        elif self.connection is None and self._retry is None:
            if self._was_refused:
                self._dial_later()
            else:
                self.dial()

    def dial(self) -> bool:
        """Begin to connect, unless that is under way or done; tell whether there is a token to."""
        self._cancel_retry()
        if self.connection is None and self._token is not None:
            self._was_refused = False
            self.connection = Connection(
                self._dialler,
                self._token,
                self._handshake(),
                self._dialects,
                self._counters,
                self,
            )
            self._tasks.add(self.connection.task)
            self.connection.task.add_done_callback(self._tasks.discard)
        return self.connection is not None

    def fence(self) -> None:
        """Replace the connection: nothing that is under way on the present one will arrive."""
        self._counters.connections_fenced += 1
        self._drop()
        self.dial()

    @property
    def is_outdated(self) -> bool:
        """Whether the present connection belongs to another toy than we are by now."""
        connection = self.connection
        return connection is not None and connection.toy_id != self._dialler.toy_id

    def renew(self) -> None:
        """Replace the connection by one of the toy that we are by now."""
        self._drop()
        self.dial()

    def refuse(self) -> None:
        """Take it that the gateway refused the token of the present connection, and end that."""
        self._forget_token()
        self._drop()
        self._try_again()

    async def close(self) -> None:
        """End everything, within `CLOSE_S_MAX`; nobody is told anything from now on."""
        self._is_closed = True
        self._token = None
        self._cancel_retry()
        self._drop()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=CLOSE_S_MAX)

    # What the connection tells (`connection.Owner`).

    def connection_opened(self) -> None:
        """Count the new connection and tell of it."""
        settled_after_ms = self._dialler.settings.settled_after_ms
        self.is_open = True
        self.generation += 1
        self._counters.connections += 1
        self._settling = self._clock.call_later(settled_after_ms, self._backoff.reset)
        self._is_down = False
        _log.info("connected to the gateway: connection %d", self.generation)
        self._post("link_up")
        self._owner.link_opened()

    def connection_received(self, message: Incoming) -> None:
        """Hand the message on."""
        self._owner.link_received(message)

    def connection_flushed(self, turn: int) -> None:
        """Hand the news on."""
        self._owner.link_flushed(turn)

    def connection_ended(self, end: End) -> None:
        """Tell whom it concerns, and try again."""
        if end.was_open:
            self._counters.connections_lost += 1
        else:
            self._counters.connections_failed += 1
        if end.is_refused:
            _log.warning("the gateway does not take the token: %s", end.cause)
            self._forget_token()
        self.connection = None
        self._set_closed()
        self._owner.link_ended()
        if not end.is_refused and not self._is_down:
            if end.was_open:
                _log.warning("the connection to the gateway is lost: %s", end.cause)
            else:
                _log.warning("the gateway cannot be reached: %s", end.cause)
            self._is_down = True
            self._post("link_down")
        self._try_again()

    def _handshake(self) -> Handshake:
        dialler = self._dialler
        return Handshake(
            dialler.device_id,
            dialler.toy_id,
            self._clock.monotonic_ms(),
            offers_binary=self._dialects.offers_binary,
        )

    def _try_again(self) -> None:
        if self.connection is None and self._token is not None:
            self._dial_later()

    def _dial_later(self) -> None:
        self._retry = self._clock.call_later(self._backoff.next_delay_ms(), self._redial)

    def _redial(self) -> None:
        self.dial()

    def _cancel_retry(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None

    def _drop(self) -> None:
        """End the connection without telling."""
        if self.connection is not None:
            self.connection.fence()
            self.connection = None
        self._set_closed()

    def _set_closed(self) -> None:
        self.is_open = False
        if self._settling is not None:
            self._settling.cancel()
            self._settling = None

    def _forget_token(self) -> None:
        """Forget the token that was refused, unless there is a newer one already."""
        if self.connection is not None and self.connection.token == self._token:
            self._token = None
            self._was_refused = True
            self._post("tokens_lost")
