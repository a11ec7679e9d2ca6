"""The control API's routes for what the deployment stores, and for the tokens it has issued.

=============================  =====================================================================
``POST   /_dev/devices``       registers a device: ``{deviceId, deviceSecret, toyId}``
``DELETE /_dev/devices/<id>``  forgets one, though not its toys: DEVICE_NOT_FOUND from then on
``GET    /_dev/toys``          the toys: ``toyId, deviceId, carried, configuration``
``POST   /_dev/toys``          adds one: ``{toyId, deviceId?, configuration?}``
``GET    /_dev/commands``      all commands: as issued, with ``deviceId, outcome`` (null while open)
                               and ``acknowledgements``
``POST   /_dev/commands``      issues one (``devcloud.commands``): ``{kind, …, deviceId?}``, and
                               answers with it; ``"unchecked": true`` lets anything pass
``GET    /_dev/tables/<name>`` what was stored in ``conversations``, ``metrics``, ``batches``,
                               ``logs``, ``reports`` or ``acks`` (``devcloud.records``), or what is
                               known of ``uploads``, in order of arrival
``GET    /_dev/uploads/<id>``  a file that was uploaded, as it came
``POST   /_dev/revoke``        takes back all tokens issued so far: ``{deviceId?}``, all devices' if
                               none is named
``POST   /_dev/rotate-keys``   signs with a new key: ``{algorithm?, retireOld?}``; what older keys
                               signed is good until they are retired. Answers with the key ids
=============================  =====================================================================

What is unknown is answered 400 with the nearest name that is known; see ``devcloud.control``.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from aiohttp import web

from devcloud import values
from devcloud.control import PREFIX, json_body
from devcloud.errors import SettingsError, UnknownNameError
from devcloud.settings import ALGORITHMS, ID_CHARS_MAX, is_identifier
from devcloud.signing import SigningKey

if TYPE_CHECKING:
    from collections.abc import Iterable

    from devcloud.deployment import Deployment
    from devcloud.json_text import JsonObject, JsonValue
    from devcloud.tokens import Tokens

UPLOADS: Final = "uploads"
UNKNOWN_TYPE: Final = "application/octet-stream"


class DataControl:
    """The routes under ``/_dev`` that show and change what is stored."""

    def __init__(self, deployment: Deployment, tokens: Tokens) -> None:
        self._deployment = deployment
        self._tokens = tokens

    def routes(self) -> list[web.RouteDef]:
        """List the routes to register."""
        return [
            web.post(f"{PREFIX}/devices", self._post_device),
            web.delete(f"{PREFIX}/devices/{{device_id}}", self._delete_device),
            web.get(f"{PREFIX}/toys", self._get_toys),
            web.post(f"{PREFIX}/toys", self._post_toy),
            web.get(f"{PREFIX}/commands", self._get_commands),
            web.post(f"{PREFIX}/commands", self._post_command),
            web.get(f"{PREFIX}/tables/{{name}}", self._get_table),
            web.get(f"{PREFIX}/uploads/{{storage_id}}", self._get_upload),
            web.post(f"{PREFIX}/revoke", self._revoke),
            web.post(f"{PREFIX}/rotate-keys", self._rotate_keys),
        ]

    async def _post_device(self, request: web.Request) -> web.Response:
        body = await json_body(request)
        names = ("deviceId", "deviceSecret", "toyId")
        _know(body, names)
        device_id, secret, toy_id = (_identifier(body, name) for name in names)
        self._deployment.add_device(device_id, secret, toy_id)
        return web.json_response({"deviceId": device_id, "toyId": toy_id})

    async def _delete_device(self, request: web.Request) -> web.Response:
        device_id = self._deployment.one_device(request.match_info["device_id"])
        self._deployment.remove_device(device_id)
        return web.json_response({"deviceId": device_id})

    async def _get_toys(self, _: web.Request) -> web.Response:
        return web.json_response(self._deployment.toys_to_json())

    async def _post_toy(self, request: web.Request) -> web.Response:
        body = await json_body(request)
        _know(body, ("toyId", "deviceId", "configuration"))
        toy_id = _identifier(body, "toyId")
        device_id = self._deployment.one_device(_text_or_none(body, "deviceId"))
        changes = values.decode_object(body.get("configuration", {}))
        toy = self._deployment.add_toy(toy_id, device_id, changes)
        return web.json_response(
            {
                "toyId": toy.toy_id,
                "deviceId": toy.device_id,
                "configuration": values.encode(toy.configuration),
            }
        )

    async def _get_commands(self, _: web.Request) -> web.Response:
        return web.json_response(self._deployment.commands.to_json())

    async def _post_command(self, request: web.Request) -> web.Response:
        command = await json_body(request)
        deployment = self._deployment
        device_id = deployment.one_device(_text_or_none(command, "deviceId"))
        command.pop("deviceId", None)
        checked = not _switch(command, "unchecked")
        command.pop("unchecked", None)
        toy_id = command.get("toyId")
        if checked and isinstance(toy_id, str) and not deployment.toy(toy_id, device_id):
            raise UnknownNameError("toy of the device", toy_id, deployment.toys(device_id))
        values.decode(command)
        with deployment.transaction():
            issued = deployment.commands.issue(
                device_id, command, deployment.now_ms, checked=checked
            )
        return web.json_response(issued)

    async def _get_table(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name == UPLOADS:
            return web.json_response(self._deployment.uploads.to_json())
        return web.json_response(self._deployment.records.to_json(name))

    async def _get_upload(self, request: web.Request) -> web.Response:
        stored = self._deployment.uploads.read(request.match_info["storage_id"])
        headers = {"Content-Type": stored.content_type or UNKNOWN_TYPE}
        return web.Response(body=stored.content, headers=headers)

    async def _revoke(self, request: web.Request) -> web.Response:
        body = await json_body(request)
        _know(body, ("deviceId",))
        device_id = _text_or_none(body, "deviceId")
        if device_id is not None:
            device_id = self._deployment.one_device(device_id)
        self._tokens.revoke(device_id)
        revoked: list[JsonValue] = [device_id] if device_id else [*self._deployment.device_ids()]
        return web.json_response({"revoked": revoked})

    async def _rotate_keys(self, request: web.Request) -> web.Response:
        body = await json_body(request)
        _know(body, ("algorithm", "retireOld"))
        algorithm = _text_or_none(body, "algorithm") or self._tokens.keys[-1].algorithm
        if algorithm not in ALGORITHMS:
            raise UnknownNameError("signing algorithm", algorithm, ALGORITHMS)
        retire_old = _switch(body, "retireOld")
        # In a thread: an RSA key takes longer than a reply's next packet may.
        key = await asyncio.to_thread(SigningKey.make, algorithm)
        self._tokens.rotate(key, retire_old=retire_old)
        keys = self._tokens.keys
        return web.json_response(
            {"signing": keys[-1].key_id, "verifying": [key.key_id for key in keys]}
        )


def _know(body: JsonObject, names: Iterable[str]) -> None:
    for name in body:
        if name not in names:
            raise UnknownNameError("field here", name, names)


def _identifier(body: JsonObject, name: str) -> str:
    value = body.get(name)
    if not (isinstance(value, str) and is_identifier(value)):
        raise SettingsError(f"{name}: must be 1 to {ID_CHARS_MAX} printable ASCII characters")
    return value


def _text_or_none(body: JsonObject, name: str) -> str | None:
    value = body.get(name)
    if value is None or isinstance(value, str):
        return value
    raise SettingsError(f"{name}: must be a text")


def _switch(body: JsonObject, name: str) -> bool:
    value = body.get(name, False)
    if isinstance(value, bool):
        return value
    raise SettingsError(f"{name}: must be true or false")
