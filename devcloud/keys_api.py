"""Who issues tokens and with which keys, told as OpenID Connect Discovery has it.

``GET /.well-known/openid-configuration`` and ``GET /.well-known/jwks.json``. There is nothing to
log in with; it is what a Convex deployment reads of an identity provider to check its tokens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiohttp import web

from devcloud.tokens import ISSUER

if TYPE_CHECKING:
    from devcloud.tokens import Tokens

DISCOVERY_PATH: Final = "/.well-known/openid-configuration"
KEYS_PATH: Final = "/.well-known/jwks.json"


class KeysApi:
    """The routes under ``/.well-known``."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    def routes(self) -> list[web.RouteDef]:
        """List the routes to register."""
        return [web.get(DISCOVERY_PATH, self._discover), web.get(KEYS_PATH, self._list_keys)]

    async def _discover(self, request: web.Request) -> web.Response:
        return web.json_response(
            {
                "issuer": ISSUER,
                "jwks_uri": f"{request.scheme}://{request.host}{KEYS_PATH}",
                "id_token_signing_alg_values_supported": self._tokens.algorithms,
                "subject_types_supported": ["public"],
                "response_types_supported": ["id_token"],
            }
        )

    async def _list_keys(self, _: web.Request) -> web.Response:
        return web.json_response({"keys": [key.to_jwk() for key in self._tokens.keys]})
