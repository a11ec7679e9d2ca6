"""How a connection to the gateway is made."""

from __future__ import annotations

import asyncio
import logging
import re
import socket
from typing import TYPE_CHECKING, Any, Final

from websockets.asyncio.client import ClientConnection, connect

from firmware.stream.errors import CredentialError
from firmware.stream.paced import WRITE_LIMIT, PacedConnection
from firmware.stream.settings import checked_address, gateway_address
from firmware.tls import checked_pins, client_context

if TYPE_CHECKING:
    import ssl

    from firmware.stream.settings import StreamSettings

HEADER_CHARS_MAX: Final = 8_192
"""Longest token or id: as long a line as servers commonly read."""

CLOSING_S_MAX: Final = 1.0
"""How long the other side may take to end a connection that is over."""

KERNEL_BYTES_MAX: Final = 1_024
"""What may wait in the kernel before it takes no more: 0.2 s of speech. It would take 16 KB and
more of its own, which can neither be dropped any more nor be seen to wait."""

_TCP_NOTSENT_LOWAT: Final = 25
"""That limit's number in Linux (tcp(7)), which Python names from 3.12 on."""

_MESSAGES_MAX: Final = 16
"""Messages that may wait to be taken before reading rests."""

_VISIBLE: Final = re.compile(r"[!-~]+")

# At DEBUG `websockets` would log the request with its token, and then a child's voice. A logger of
# our own that nobody can reach or turn up.
_SILENT: Final = logging.Logger(  # noqa: LOG001 - in no hierarchy, on purpose
    "firmware.stream.wire", logging.CRITICAL + 1
)


def checked_credential(value: str, name: str) -> str:
    """Return `value` if it can stand in a header, where a line break would begin another.

    Raises:
        CredentialError: It is empty, too long, or has characters that are not visible ASCII.
    """
    if len(value) > HEADER_CHARS_MAX or not _VISIBLE.fullmatch(value):
        raise CredentialError(
            f"the {name} cannot be sent: give 1 to {HEADER_CHARS_MAX} visible ASCII characters"
        )
    return value


class Dialler:
    """Opens connections to one gateway, for one device and toy.

    TLS is as the context says. Without one it is that of `firmware.tls`, with the settings'
    authorities and pins. Proxies, redirects and compression are not used: the token goes where the
    settings say and nowhere else, and nothing that comes in can unfold.

    Args:
        settings: Where the gateway is, and how patiently it is dialled.
        device_id: Who we are.
        toy_id: Which toy we are, to begin with.
        tls: Whom to trust, and how.

    Raises:
        AddressError: `settings.url` cannot be used.
        CredentialError: An id cannot be put into a request.
    """

    def __init__(
        self,
        settings: StreamSettings,
        device_id: str,
        toy_id: str,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.settings = settings
        self.device_id = checked_credential(device_id, "device's id")
        self.toy_id = checked_credential(toy_id, "toy's id")
        checked_address(settings.url)
        self._tls = tls

    def set_toy(self, toy_id: str) -> None:
        """Be that toy from the next connection on.

        Raises:
            CredentialError: The id cannot be put into a request; the one before stays.
        """
        self.toy_id = checked_credential(toy_id, "toy's id")

    async def dial(self, token: str, toy_id: str) -> ClientConnection:
        """Return an open connection. The caller owes a bound on the time, and the closing.

        Whose it is stands in its handshake as well, so the caller says: `toy_id` here may be
        another by now.

        Raises:
            OSError: The gateway is not reached, or is not who it says.
            InvalidHandshake: It is reached and refuses; `InvalidStatus` has the answer.
        """
        settings, address = self.settings, self._address(toy_id)
        connection = await _Connect(
            address,
            additional_headers={
                "Authorization": f"Bearer {token}",
                "X-Device-ID": self.device_id,
                "X-Device-Type": "raspberry-pi-zero-2w",
                "X-Toy-ID": toy_id,
            },
            user_agent_header=None,
            proxy=None,
            compression=None,
            open_timeout=None,
            ping_interval=settings.keepalive_interval_ms / 1000,
            ping_timeout=settings.keepalive_timeout_ms / 1000,
            close_timeout=CLOSING_S_MAX,
            max_size=settings.message_bytes_max,
            max_queue=_MESSAGES_MAX,
            write_limit=WRITE_LIMIT,
            logger=_SILENT,
            create_connection=PacedConnection,
            **await self._tls_arguments(address),
        )
        wire: socket.socket = connection.transport.get_extra_info("socket")
        wire.setsockopt(socket.IPPROTO_TCP, _TCP_NOTSENT_LOWAT, KERNEL_BYTES_MAX)
        return connection

    def _address(self, toy_id: str) -> str:
        url = self.settings.url
        if self.settings.dialect == "gateway":
            return gateway_address(url, self.device_id, toy_id)
        return checked_address(url)

    async def _tls_arguments(self, address: str) -> dict[str, Any]:
        if not address.startswith("wss:"):
            return {}
        if self._tls is None:
            # Reading the authorities takes a Pi most of a second: once, and off the loop.
            pins = checked_pins(self.settings.pins)
            self._tls = await asyncio.to_thread(client_context, self.settings.ca_file, pins)
        return {"ssl": self._tls, "ssl_shutdown_timeout": CLOSING_S_MAX}


class _Connect(connect):
    """`connect`, but not elsewhere than where it was sent."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        """Take a redirect for the refusal that it is."""
        return exc
