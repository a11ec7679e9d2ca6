"""How ``requests`` speaks TLS here. Importing it imports ``requests``: see ``session``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from requests.adapters import HTTPAdapter

if TYPE_CHECKING:
    import ssl


class TlsAdapter(HTTPAdapter):
    """An adapter for ``https`` that trusts whom `context` trusts, and nobody else.

    Left alone, ``requests`` adds the authorities that it brings along to any context it is given.
    """

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context  # before the rest: making the pool asks for it
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - as it is there
        """Make the pool whose connections use the context."""
        super().init_poolmanager(*arguments, ssl_context=self._context, **options)

    def cert_verify(self, conn: Any, url: object, verify: object, cert: object) -> None:  # noqa: ANN401, ARG002
        """Name no authorities but the context's."""
        conn.cert_reqs = "CERT_REQUIRED"
