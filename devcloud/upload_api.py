"""Where files are uploaded: ``POST /api/storage/upload?token=…`` with the bytes of one file.

``storage:generateUploadUrl`` gives the address. The answer is ``{"storageId": …}``, or another
status and ``{"code", "message"}``: 401 for a token that is unknown, expired or used, 413 for too
many bytes, 400 for bytes that are not those of the ``Digest`` header.

Source: Convex's documentation of upload URLs, and its open-source backend. That a URL takes one
file only is the development cloud's own: nobody may count on more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiohttp import web

from devcloud.errors import UploadError
from devcloud.functions import UPLOAD_PATH
from devcloud.http_api import read_body, refusal
from devcloud.uploads import UPLOAD_BYTES_MAX, UploadHeaders

if TYPE_CHECKING:
    from devcloud.deployment import Deployment

TOO_LARGE: Final = 413


class UploadApi:
    """The route that takes files."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment

    def routes(self) -> list[web.RouteDef]:
        """List the routes to register."""
        return [web.post(UPLOAD_PATH, self._upload)]

    async def _upload(self, request: web.Request) -> web.Response:
        deployment, token = self._deployment, request.query.get("token", "")
        headers = UploadHeaders(
            request.headers.get("Content-Type"),
            request.headers.get("User-Agent"),
            request.headers.get("Digest"),
        )
        try:
            # Before the bytes, so that nobody sends many for nothing; and again with them.
            deployment.uploads.check(token, deployment.now_ms)
            content = await read_body(request, UPLOAD_BYTES_MAX)
            with deployment.transaction():
                storage_id = deployment.uploads.store(token, content, headers, deployment.now_ms)
        except UploadError as error:
            return refusal(error.status, error.code, str(error))
        except web.HTTPRequestEntityTooLarge as error:
            return refusal(TOO_LARGE, "FileTooLarge", str(error.text))
        return web.json_response({"storageId": storage_id})
