from __future__ import annotations

import asyncio
import itertools
import json
import uuid
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import pytest
import requests
from convex.http_client import ConvexHttpClient
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError

from devcloud.garbage import DEEP_LEVELS, GARBAGE, HUGE_BYTES
from tests.devcloud.running import CREDENTIALS, DEVICE, TIMEOUT_S, TOY, RunningCloud

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from websockets.asyncio.client import ClientConnection

    from tests.devcloud.json_type import Json

AUTHENTICATE: Final = "auth:authenticateDevice"
CONFIGURATION: Final = "toys:getConfiguration"
REPORT: Final = "guardian:reportEvent"


def calls_of(cloud: RunningCloud, function: str) -> int:
    """How often a function was carried out."""
    return sum(call["function"] == function for call in cloud.get("calls"))


def struck(cloud: RunningCloud, fault: str) -> int:
    count: int = cloud.get("faults")["struck"][fault]
    return count


def report() -> Json:
    """Make the arguments of a report that was never sent before."""
    return {
        **TOY,
        "recordId": str(uuid.uuid4()),
        "timestamp": "2026-11-25T02:14:53.120Z",
        "eventType": "emergency_stop",
        "details": {},
        "isUrgent": True,
    }


def deliveries(cloud: RunningCloud, event: Json) -> list[int]:
    """How often each row that was stored for a report has come."""
    rows = cloud.get("tables/reports")
    return [row["deliveries"] for row in rows if row["recordId"] == event["recordId"]]


def post(cloud: RunningCloud, kind: str, function: str, arguments: Json) -> requests.Response:
    return requests.post(
        f"{cloud.cloud.convex_url}/api/{kind}",
        json={"path": function, "format": "convex_encoded_json", "args": arguments},
        timeout=TIMEOUT_S,
        allow_redirects=False,
    )


def test_calls_get_a_status_and_are_not_carried_out(cloud: RunningCloud) -> None:
    carried_out = calls_of(cloud, AUTHENTICATE)
    before = struck(cloud, "http_status")
    cloud.post_faults(http_status={"status": 502, "times": 2})
    for _ in range(2):
        with pytest.raises(Exception, match="502"):
            ConvexHttpClient(cloud.cloud.convex_url).mutation(AUTHENTICATE, CREDENTIALS)
    assert calls_of(cloud, AUTHENTICATE) == carried_out
    assert cloud.authenticate()["convexToken"]
    assert struck(cloud, "http_status") == before + 2


def test_a_fault_leaves_the_calls_of_other_functions_alone(cloud: RunningCloud) -> None:
    cloud.post_faults(http_status={"function": CONFIGURATION})
    assert cloud.authenticate()["convexToken"]
    assert post(cloud, "query", CONFIGURATION, TOY).status_code == 503
    assert post(cloud, "query", "toys.js:getConfiguration", TOY).status_code == 503


def test_calls_are_sent_elsewhere(cloud: RunningCloud) -> None:
    cloud.post_faults(redirect={"to": "http://127.0.0.1:9/elsewhere", "status": 308})
    answer = post(cloud, "mutation", AUTHENTICATE, CREDENTIALS)
    assert (answer.status_code, answer.headers["Location"]) == (308, "http://127.0.0.1:9/elsewhere")


def test_a_mutation_is_carried_out_and_its_answer_lost(cloud: RunningCloud) -> None:
    carried_out = calls_of(cloud, AUTHENTICATE)
    cloud.post_faults(commit_then_drop={"times": 1})
    with pytest.raises(requests.ConnectionError):
        cloud.authenticate()
    assert calls_of(cloud, AUTHENTICATE) == carried_out + 1
    assert cloud.authenticate()["convexToken"]


def test_a_query_changes_nothing_and_keeps_its_answer(cloud: RunningCloud) -> None:
    cloud.post_faults(commit_then_drop=True)
    assert post(cloud, "query", CONFIGURATION, TOY).json()["status"] == "error"


def test_a_mutation_is_carried_out_twice(cloud: RunningCloud) -> None:
    carried_out = calls_of(cloud, AUTHENTICATE)
    cloud.post_faults(duplicate_delivery=True)
    assert cloud.authenticate()["convexToken"]
    assert calls_of(cloud, AUTHENTICATE) == carried_out + 2


@pytest.mark.parametrize("fault", ["commit_then_drop", "duplicate_delivery", "garbage"])
def test_what_was_not_carried_out_is_answered_and_no_fault_strikes(
    cloud: RunningCloud, fault: str
) -> None:
    """A call that fails, one that is refused, one that is none; and an upload to nowhere."""
    before = struck(cloud, fault)
    cloud.post_faults(**{fault: {"times": 1}})
    wrong = {**CREDENTIALS, "deviceSecret": "wrong"}
    assert post(cloud, "mutation", AUTHENTICATE, wrong).json()["status"] == "error"
    assert post(cloud, "mutation", "no:such", {}).json()["status"] == "error"
    refused = requests.post(
        f"{cloud.cloud.convex_url}/api/mutation",
        json={"path": AUTHENTICATE, "args": CREDENTIALS},
        headers={"Authorization": "Bearer forged"},
        timeout=TIMEOUT_S,
    )
    assert refused.status_code == 401
    assert upload(cloud).json()["code"] == "StorageTokenInvalid"
    assert struck(cloud, fault) == before
    assert cloud.get("faults")[fault]["times"] == 1


@pytest.mark.parametrize("fault", ["commit_then_drop", "duplicate_delivery", "garbage"])
def test_on_the_socket_too_no_fault_strikes_what_was_not_carried_out(
    cloud: RunningCloud, fault: str
) -> None:
    before = struck(cloud, fault)
    wrong = {**mutation(1), "args": [{**CREDENTIALS, "deviceSecret": "wrong"}]}
    # A transition is said again all the same; only the functions' own faults are meant here.
    cloud.post_faults(**{fault: {"function": AUTHENTICATE, "times": 1}})

    async def scenario() -> list[str]:
        async with sync_peer(cloud) as peer:
            await peer.send(wrong, {**mutation(2), "udfPath": "no:such"}, mutation(-1))
            return [(await peer.receive())["type"] for _ in range(5)]

    answer = ["MutationResponse", "Transition"]
    assert asyncio.run(scenario()) == [*answer, *answer, "FatalError"]
    assert struck(cloud, fault) == before


@pytest.mark.parametrize("kind", GARBAGE)
def test_a_call_is_carried_out_and_its_answer_is_none(cloud: RunningCloud, kind: str) -> None:
    carried_out = calls_of(cloud, AUTHENTICATE)
    cloud.post_faults(garbage={"kind": kind, "times": 1})
    answer = post(cloud, "mutation", AUTHENTICATE, CREDENTIALS)
    assert answer.content == GARBAGE[kind]()
    assert calls_of(cloud, AUTHENTICATE) == carried_out + 1


def test_garbage_is_what_its_name_says() -> None:
    assert len(GARBAGE["huge"]()) > HUGE_BYTES
    with pytest.raises(RecursionError):
        json.loads(GARBAGE["deep"]())
    assert GARBAGE["deep"]().count(b"[") == DEEP_LEVELS
    for kind in ("text", "empty", "utf8"):
        with pytest.raises(ValueError, match=r"Expecting value|can't decode"):
            json.loads(GARBAGE[kind]())
    for kind in ("object", "shape", "value", "huge"):
        assert isinstance(json.loads(GARBAGE[kind]()), dict)


def test_every_token_counts_as_expired(cloud: RunningCloud) -> None:
    client = ConvexHttpClient(cloud.cloud.convex_url)
    client.set_auth(cloud.authenticate()["convexToken"])
    refused = cloud.get("counters")["refused_tokens"]
    cloud.post_faults(expire_tokens={"times": 1})
    with pytest.raises(Exception, match="401 InvalidAuthHeader: the token has expired"):
        client.query(CONFIGURATION, TOY)
    assert cloud.get("counters")["refused_tokens"] == refused + 1
    assert client.query(CONFIGURATION, TOY)["name"]


def test_tokens_last_as_long_as_is_asked(cloud: RunningCloud) -> None:
    cloud.post_faults(token_lifetime_s=1e-6)
    tokens = cloud.authenticate()
    assert tokens["convexTokenLifetimeS"] == tokens["websocketTokenLifetimeS"] == 1e-6
    client = ConvexHttpClient(cloud.cloud.convex_url)
    client.set_auth(tokens["convexToken"])
    with pytest.raises(Exception, match="401"):
        client.query(CONFIGURATION, TOY)


class SyncPeer:
    """A connection of the sync protocol; what it sends, the test says."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    async def send(self, *messages: Json) -> None:
        for message in messages:
            await self._socket.send(json.dumps(message))

    async def receive(self) -> Json:
        return json.loads(await self._socket.recv())

    async def receive_bytes(self) -> bytes:
        data: bytes = await self._socket.recv(decode=False)
        return data


@asynccontextmanager
async def sync_peer(cloud: RunningCloud) -> AsyncIterator[SyncPeer]:
    url = cloud.cloud.convex_url.replace("http", "ws") + "/api/sync"
    async with asyncio.timeout(TIMEOUT_S), connect(url, max_size=2 * HUGE_BYTES) as socket:
        yield SyncPeer(socket)


def mutation(request_id: int) -> Json:
    return {
        "type": "Mutation",
        "requestId": request_id,
        "udfPath": AUTHENTICATE,
        "args": [CREDENTIALS],
    }


def authenticate(cloud: RunningCloud) -> Json:
    token = cloud.authenticate()["convexToken"]
    return {"type": "Authenticate", "baseVersion": 0, "tokenType": "User", "value": token}


SUBSCRIBE: Final[Json] = {
    "type": "ModifyQuerySet",
    "baseVersion": 0,
    "newVersion": 1,
    "modifications": [{"type": "Add", "queryId": 0, "udfPath": CONFIGURATION, "args": [TOY]}],
}


def test_on_the_socket_a_mutation_is_carried_out_and_the_connection_aborted(
    cloud: RunningCloud,
) -> None:
    carried_out = calls_of(cloud, AUTHENTICATE)
    cloud.post_faults(commit_then_drop={"function": AUTHENTICATE, "times": 1})

    async def scenario() -> None:
        async with sync_peer(cloud) as peer:
            await peer.send(mutation(1))
            with pytest.raises(ConnectionClosedError):
                await peer.receive()

    asyncio.run(scenario())
    assert calls_of(cloud, AUTHENTICATE) == carried_out + 1


def test_on_the_socket_a_mutation_is_carried_out_twice_and_answered_once(
    cloud: RunningCloud,
) -> None:
    carried_out = calls_of(cloud, AUTHENTICATE)
    cloud.post_faults(duplicate_delivery={"function": AUTHENTICATE})

    async def scenario() -> list[Json]:
        async with sync_peer(cloud) as peer:
            await peer.send(mutation(1), mutation(2))
            return [await peer.receive() for _ in range(6)]

    messages = asyncio.run(scenario())
    assert [message["type"] for message in messages] == [
        *("MutationResponse", "Transition", "Transition"),
        *("MutationResponse", "Transition", "Transition"),
    ]
    assert calls_of(cloud, AUTHENTICATE) == carried_out + 4
    versions = [message for message in messages if message["type"] == "Transition"]
    for before, after in itertools.pairwise(versions):
        assert after["startVersion"] == before["endVersion"]


def test_on_the_socket_a_transition_is_said_again_by_one_that_leads_nowhere(
    cloud: RunningCloud,
) -> None:
    cloud.post_faults(duplicate_delivery=True)

    async def scenario() -> tuple[Json, Json]:
        async with sync_peer(cloud) as peer:
            await peer.send(SUBSCRIBE)
            return await peer.receive(), await peer.receive()

    once, again = asyncio.run(scenario())
    assert once["modifications"]
    assert again == {**once, "startVersion": once["endVersion"]}


@pytest.mark.parametrize("kind", GARBAGE)
@pytest.mark.parametrize("message", [mutation(1), SUBSCRIBE], ids=["mutation", "subscription"])
def test_on_the_socket_an_answer_is_none(cloud: RunningCloud, kind: str, message: Json) -> None:
    shown = authenticate(cloud)
    cloud.post_faults(garbage=kind)

    async def scenario() -> bytes:
        async with sync_peer(cloud) as peer:
            await peer.send(shown)
            assert (await peer.receive())["type"] == "Transition"
            await peer.send(message)
            return await peer.receive_bytes()

    assert asyncio.run(scenario()) == GARBAGE[kind]()


def test_on_the_socket_an_identity_expires_on_command(cloud: RunningCloud) -> None:
    shown = authenticate(cloud)

    async def scenario() -> Json:
        async with sync_peer(cloud) as peer:
            await peer.send(shown)
            assert (await peer.receive())["type"] == "Transition"
            await asyncio.to_thread(cloud.post_faults, expire_tokens={"times": 1})
            await peer.send(mutation(1))
            return await peer.receive()

    error = asyncio.run(scenario())
    assert (error["type"], error["error"]) == ("AuthError", "Convex token identity expired")


def test_what_is_no_message_is_left_to_the_session(cloud: RunningCloud) -> None:
    cloud.post_faults(garbage="text")

    async def scenario() -> Json:
        async with sync_peer(cloud) as peer:
            await peer.send([])
            return await peer.receive()

    assert asyncio.run(scenario())["type"] == "FatalError"


def upload(cloud: RunningCloud, url: str = "") -> requests.Response:
    return requests.post(
        url or f"{cloud.cloud.convex_url}/api/storage/upload?token=any",
        data=b"OggS" * 10_000,
        headers={"Content-Type": "audio/opus"},
        timeout=TIMEOUT_S,
    )


def test_an_upload_url_counts_as_expired(cloud: RunningCloud) -> None:
    cloud.post_faults(expire_uploads={"times": 1})
    answer = upload(cloud)
    assert (answer.status_code, answer.json()["code"]) == (401, "StorageTokenExpired")


@pytest.mark.parametrize("after_bytes", [0, 1, 10_000])
def test_an_upload_is_cut_off(cloud: RunningCloud, after_bytes: int) -> None:
    before = struck(cloud, "cut_uploads")
    cloud.post_faults(cut_uploads=after_bytes)
    with pytest.raises(requests.ConnectionError):
        upload(cloud)
    assert struck(cloud, "cut_uploads") == before + 1


def test_an_upload_meets_the_faults_of_calls(cloud: RunningCloud) -> None:
    cloud.post_faults(http_status={"status": 403, "function": "upload"})
    assert upload(cloud).status_code == 403
    assert cloud.authenticate()["convexToken"]
    client = ConvexHttpClient(cloud.cloud.convex_url)
    client.set_auth(cloud.authenticate()["convexToken"])
    url = client.mutation("storage:generateUploadUrl", DEVICE)["url"]
    cloud.post_faults(http_status=None, garbage={"kind": "object", "function": "upload"})
    assert upload(cloud, url).json() == {}


def test_a_record_whose_answer_was_lost_is_stored_once(cloud: RunningCloud) -> None:
    client = ConvexHttpClient(cloud.cloud.convex_url)
    client.set_auth(cloud.authenticate()["convexToken"])
    event = report()
    cloud.post_faults(commit_then_drop={"function": REPORT, "times": 1})
    with pytest.raises(requests.ConnectionError):
        client.mutation(REPORT, event)
    assert client.mutation(REPORT, event)["duplicate"]
    assert deliveries(cloud, event) == [2]


def test_a_record_that_is_delivered_twice_is_stored_once(cloud: RunningCloud) -> None:
    client = ConvexHttpClient(cloud.cloud.convex_url)
    client.set_auth(cloud.authenticate()["convexToken"])
    event = report()
    cloud.post_faults(duplicate_delivery={"function": REPORT})
    assert client.mutation(REPORT, event)["duplicate"]
    assert deliveries(cloud, event) == [2]


def test_an_upload_whose_answer_was_lost_is_stored_all_the_same(cloud: RunningCloud) -> None:
    client = ConvexHttpClient(cloud.cloud.convex_url)
    client.set_auth(cloud.authenticate()["convexToken"])
    stored = len(cloud.get("tables/uploads"))
    cloud.post_faults(commit_then_drop={"function": "upload", "times": 1})
    with pytest.raises(requests.ConnectionError):
        upload(cloud, client.mutation("storage:generateUploadUrl", DEVICE)["url"])
    assert len(cloud.get("tables/uploads")) == stored + 1


def test_an_upload_that_was_cut_off_may_be_tried_again(cloud: RunningCloud) -> None:
    client = ConvexHttpClient(cloud.cloud.convex_url)
    client.set_auth(cloud.authenticate()["convexToken"])
    url = client.mutation("storage:generateUploadUrl", DEVICE)["url"]
    cloud.post_faults(cut_uploads={"after_bytes": 10_000, "times": 1})
    with pytest.raises(requests.ConnectionError):
        upload(cloud, url)
    assert upload(cloud, url).json()["storageId"]
