"""The script of steps.json, gone through by Convex's own Python client.

Arguments: the cloud's URL, its control API's URL, and which client: ``sync`` (``ConvexClient``) or
``http`` (``ConvexHttpClient``). It prints a line of JSON for each step, and stops at the first that
fails; other lines are what functions logged. script.mjs is the same in JavaScript.

The sync client holds the interpreter while a call waits, so only whoever started this process can
end a call that hangs.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import re
import sys
import uuid
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

import requests
from convex import ConvexClient, ConvexError, convex_to_json, json_to_convex
from convex.http_client import ConvexHttpClient

if TYPE_CHECKING:
    from convex import QuerySubscription

    from tests.devcloud.json_type import Json

STEPS: Final = Path(__file__).with_name("steps.json")
WAIT_S: Final = 5.0

PLACEHOLDER: Final = re.compile(r"\$\{([\w.]+)}")
IDS: Final = ("ack", "conversation", "event")
"""Record ids, drawn anew in each run."""

KINDS: Final[dict[str, tuple[type, ...]]] = {"<number>": (int, float), "<string>": (str,)}


def matches(expected: Json, value: Json) -> bool:
    """Tell whether a value is what a step expects: objects may hold more than is named."""
    if isinstance(expected, str) and expected in KINDS:
        return isinstance(value, KINDS[expected]) and not isinstance(value, bool)
    if isinstance(expected, list):
        return (
            isinstance(value, list)
            and len(value) == len(expected)
            and all(map(matches, expected, value))
        )
    if isinstance(expected, dict):
        return isinstance(value, dict) and all(
            name in value and matches(item, value[name]) for name, item in expected.items()
        )
    return isinstance(expected, bool) is isinstance(value, bool) and expected == value


class Client(Protocol):
    """What the script asks of either client."""

    def call(self, kind: str, name: str, arguments: Json) -> Json: ...
    def error_data(self, error: ConvexError) -> Json: ...
    async def set_token(self, token: str) -> None: ...
    async def refused(self, token: str) -> None: ...
    async def expelled(self) -> None: ...
    def subscribe(self, name: str, function: str, arguments: Json) -> None: ...
    async def see(self, name: str, expected: Json) -> None: ...


class SyncClient:
    """``ConvexClient``, whose subscriptions stay open."""

    def __init__(self, url: str, control_url: str) -> None:
        self._url = url
        self._client = ConvexClient(url)
        self._control_url = control_url
        self._subscriptions: dict[str, QuerySubscription] = {}
        self._refusals_before = 0

    def call(self, kind: str, name: str, arguments: Json) -> Json:
        call = getattr(self._client, kind)
        return convex_to_json(call(name, json_to_convex(arguments)))

    def error_data(self, error: ConvexError) -> Json:
        return convex_to_json(error.data)

    async def set_token(self, token: str) -> None:
        self._refusals_before = self._refusals()
        self._client.set_auth(token)

    def subscribe(self, name: str, function: str, arguments: Json) -> None:
        self._subscriptions[name] = self._client.subscribe(function, arguments)

    async def see(self, name: str, expected: Json) -> None:
        seen = False
        while not seen:
            # There is none while no token was taken; a value follows.
            with suppress(ConvexError):
                seen = matches(expected, convex_to_json(await anext(self._subscriptions[name])))

    async def refused(self, token: str) -> None:
        # One of its own: it tries a bad token again and again, later each time, and looks for a
        # better one only in between, which may take half a minute. It says nothing of a refusal,
        # so the cloud is asked.
        client = ConvexClient(self._url)
        refusals = self._refusals()
        client.set_auth(token)
        taken = asyncio.ensure_future(self._value(client))
        while await asyncio.to_thread(self._refusals) == refusals:
            assert not (taken.done() and taken.result()), "the token was taken"
        taken.cancel()

    async def expelled(self) -> None:
        # It connects again at once, and shows its token once more.
        while await asyncio.to_thread(self._refusals) == self._refusals_before:
            pass
        # And again, as below. Whoever cannot wait for that goes on with another client.
        self._client = ConvexClient(self._url)
        self._subscriptions = {
            name: self._client.subscribe(old.name, old.args)
            for name, old in self._subscriptions.items()
        }

    async def _value(self, client: ConvexClient) -> bool:
        """Wait for a value; false when the client says that none will come."""
        try:
            subscription = client.subscribe("toys:getConfiguration", {"deviceId": "dev-sim-1"})
            await anext(aiter(subscription))
        except Exception as error:
            # What the client says of a call that meets a connection on its way down.
            if "channel closed" not in str(error):
                raise
            return False
        return True

    def _refusals(self) -> int:
        answer = requests.get(f"{self._control_url}/counters", timeout=WAIT_S)
        refusals: int = answer.json()["refused_tokens"]
        return refusals


class HttpClient:
    """``ConvexHttpClient``, which sees what is new when it asks again."""

    def __init__(self, url: str, _: str = "") -> None:
        self._client = ConvexHttpClient(url)
        self._client.set_debug(True)
        self._subscriptions: dict[str, tuple[str, Json]] = {}

    def call(self, kind: str, name: str, arguments: Json) -> Json:
        call = getattr(self._client, kind)
        return convex_to_json(call(name, json_to_convex(arguments)))

    def error_data(self, error: ConvexError) -> Json:
        # This client hands on the JSON as it came.
        return error.data

    async def set_token(self, token: str) -> None:
        self._client.set_auth(token)

    def subscribe(self, name: str, function: str, arguments: Json) -> None:
        self._subscriptions[name] = (function, arguments)

    async def see(self, name: str, expected: Json) -> None:
        value = self.call("query", *self._subscriptions[name])
        assert matches(expected, value), f"got {json.dumps(value)}"

    async def refused(self, token: str) -> None:
        self._client.set_auth(token)
        await self.expelled()

    async def expelled(self) -> None:
        try:
            self.call("query", "toys:getConfiguration", {"deviceId": "dev-sim-1"})
        except Exception as error:
            if not str(error).startswith("401 InvalidAuthHeader"):
                raise
        else:
            raise AssertionError("the token was taken")


class Script:
    """The steps, and what they keep for later ones."""

    def __init__(self, url: str, control_url: str, client: Client) -> None:
        self._url = url
        self._control_url = control_url
        self._client = client
        self._kept: dict[str, Json] = {"ids": {name: str(uuid.uuid4()) for name in IDS}}

    async def take(self, step: dict[str, Json]) -> None:
        """Take one step; whatever it raises is why it failed."""
        step = self._fill(step)
        async with asyncio.timeout(WAIT_S):
            got = getattr(self, step["do"])(step)
            got = await got if inspect.isawaitable(got) else got
        if "keep" in step:
            self._kept[step["keep"]] = got
        if "expect" in step:
            assert matches(step["expect"], got), f"got {json.dumps(got)}"

    def _fill(self, template: Json) -> Json:
        """Put what earlier steps kept where a step says ``${name.field}``."""
        if isinstance(template, dict):
            return {name: self._fill(item) for name, item in template.items()}
        if isinstance(template, list):
            return [self._fill(item) for item in template]
        if not isinstance(template, str):
            return template
        if whole := PLACEHOLDER.fullmatch(template):
            return self._find(whole[1])
        return PLACEHOLDER.sub(lambda part: str(self._find(part[1])), template)

    def _find(self, path: str) -> Json:
        value: Json = self._kept
        for name in path.split("."):
            value = value[name]
        return value

    def call(self, step: dict[str, Json]) -> Json:
        over_http = step.get("over") == "http"
        client: Client = HttpClient(self._url) if over_http else self._client
        try:
            value = client.call(step["kind"], step["function"], step["arguments"])
        except ConvexError as error:
            data = client.error_data(error)
            if "error" not in step or not matches(step["error"], data):
                raise AssertionError(f"ConvexError with {json.dumps(data)}") from None
            return data
        assert "error" not in step, f"returned {json.dumps(value)}"
        return value

    def fail(self, step: dict[str, Json]) -> None:
        """Expect a failure that is no ConvexError, with a part of its text."""
        try:
            self._client.call(step["kind"], step["function"], step["arguments"])
        except ConvexError:
            raise
        except Exception as error:
            if step["says"] not in str(error):
                raise
        else:
            raise AssertionError("returned")

    async def setToken(self, step: dict[str, Json]) -> None:  # noqa: N802 - as the steps call it
        await self._client.set_token(step["token"])

    async def refuse(self, step: dict[str, Json]) -> None:
        await self._client.refused(step["token"])

    async def expelled(self, _: dict[str, Json]) -> None:
        await self._client.expelled()

    def subscribe(self, step: dict[str, Json]) -> None:
        self._client.subscribe(step["as"], step["function"], step["arguments"])

    async def see(self, step: dict[str, Json]) -> None:
        await self._client.see(step["subscription"], step["value"])

    def control(self, step: dict[str, Json]) -> Json:
        answer = requests.request(
            step["method"],
            f"{self._control_url}/{step['path']}",
            json=step.get("body"),
            timeout=WAIT_S,
        )
        assert answer.ok, answer.text
        return answer.json()

    def upload(self, step: dict[str, Json]) -> Json:
        answer = requests.post(
            step["url"],
            data=step["text"].encode(),
            headers={"Content-Type": "audio/opus", "User-Agent": "PommaiDevice/dev-sim-1"},
            timeout=WAIT_S,
        )
        assert answer.ok, answer.text
        return answer.json()

    def download(self, step: dict[str, Json]) -> str:
        return requests.get(f"{self._control_url}/{step['path']}", timeout=WAIT_S).text


async def main(url: str, control_url: str, kind: str) -> None:
    """Go through the steps, and say how each one went."""
    client: Client = {"sync": SyncClient, "http": HttpClient}[kind](url, control_url)
    script = Script(url, control_url, client)
    # Numbers are floats in Convex; its client reads no others.
    for step in json.loads(STEPS.read_text(encoding="utf-8"), parse_int=float):
        line: dict[str, Json] = {"step": step["step"], "passed": True}
        try:
            await script.take(step)
        except Exception as error:  # noqa: BLE001 - the client raises nothing narrower
            line |= {"passed": False, "why": f"{type(error).__name__}: {error}"}
        # At once, for the client's own thread writes what functions log to the same place.
        sys.stdout.write(f"{json.dumps(line)}\n")
        sys.stdout.flush()
        if not line["passed"]:
            break


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
