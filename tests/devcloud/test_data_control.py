from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import jwt
import pytest
import requests
from convex import ConvexError
from convex.http_client import ConvexHttpClient
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from devcloud.settings import Settings
from tests.devcloud.running import CREDENTIALS, DEVICE, TIMEOUT_S, TOY, RunningCloud

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.devcloud.json_type import Json

STAMP: Json = {"timestamp": "2026-11-25T02:14:53Z"}


@pytest.fixture(scope="module")
def own_cloud() -> Iterator[RunningCloud]:
    """A cloud that no other test asks for its toys and tokens."""
    with RunningCloud(Settings(port=0)) as running:
        yield running


def post(cloud: RunningCloud, what: str, **body: Json) -> Json:
    answer = requests.post(f"{cloud.cloud.control_url}/{what}", json=body, timeout=TIMEOUT_S)
    return answer.json() if answer.ok else (answer.status_code, answer.json()["error"])


def client_of(cloud: RunningCloud) -> ConvexHttpClient:
    client = ConvexHttpClient(cloud.cloud.convex_url)
    client.set_auth(cloud.authenticate()["convexToken"])
    return client


def test_a_command_is_issued_shown_to_its_device_and_acknowledged(
    own_cloud: RunningCloud,
) -> None:
    issued = post(own_cloud, "commands", kind="volume", percent=30)
    client = client_of(own_cloud)
    assert client.query("devices:commands", DEVICE)[-1] == {**issued, "percent": 30.0}
    client.mutation(
        "devices:ackCommand",
        {
            **DEVICE,
            **STAMP,
            "recordId": "a1",
            "commandId": issued["commandId"],
            "outcome": "done",
        },
    )
    shown = own_cloud.get("commands")[-1]
    assert (shown["outcome"], shown["deviceId"]) == ("done", "dev-sim-1")
    assert [ack["recordId"] for ack in shown["acknowledgements"]] == ["a1"]
    assert own_cloud.get("tables/acks")[-1]["recordId"] == "a1"


def test_a_command_that_no_device_knows_can_be_issued_unchecked(own_cloud: RunningCloud) -> None:
    status, error = post(own_cloud, "commands", kind="dance")
    assert (status, "is no kind of command" in error) == (400, True)
    issued = post(own_cloud, "commands", kind="dance", unchecked=True)
    assert issued["kind"] == "dance"
    assert "unchecked" not in issued


@pytest.mark.parametrize(
    ("what", "body", "says"),
    [
        ("commands", {"kind": "lock", "deviceId": "dev-sim-l"}, "did you mean 'dev-sim-1'"),
        ("commands", {"kind": "lock", "unchecked": "yes"}, "unchecked: must be true or false"),
        ("commands", {"kind": "switchToy", "toyId": "toy-sim-7"}, "did you mean 'toy-sim-1'"),
        ("toys", {"toyId": ""}, "toyId: must be 1 to 128"),
        ("toys", {"toyId": "toy-sim-1"}, "there is a toy 'toy-sim-1' already"),
        ("toys", {"toyId": "x", "configuration": {"nam": "x"}}, "did you mean 'name'"),
        ("toys", {"toyId": "x", "config": {}}, "did you mean 'configuration'"),
        ("devices", {"deviceId": "x", "deviceSecret": "x"}, "toyId: must be 1 to 128"),
        ("revoke", {"deviceId": "dev-sim"}, "did you mean 'dev-sim-1'"),
        ("revoke", {"deviceId": 1}, "deviceId: must be a text"),
        ("rotate-keys", {"algorithm": "ES265"}, "did you mean 'ES256'"),
        ("rotate-keys", {"retireOld": 1}, "retireOld: must be true or false"),
    ],
)
def test_what_cannot_be_is_refused_with_400_and_a_reason(
    own_cloud: RunningCloud, what: str, body: Json, says: str
) -> None:
    status, error = post(own_cloud, what, **body)
    assert status == 400
    assert says in error


@pytest.mark.parametrize(
    ("what", "says"), [("tables/metric", "did you mean 'metrics'"), ("uploads/x", "is no upload")]
)
def test_what_is_not_there_is_refused_by_name(
    own_cloud: RunningCloud, what: str, says: str
) -> None:
    answer = requests.get(f"{own_cloud.cloud.control_url}/{what}", timeout=TIMEOUT_S)
    assert (answer.status_code, says in answer.json()["error"]) == (400, True)


def test_records_are_shown_in_their_tables(own_cloud: RunningCloud) -> None:
    client = client_of(own_cloud)
    log: Json = {"level": "error", "code": "E1", "context": {}}
    for record_id in ("l1", "l2", "l1"):
        client.mutation("logs:create", {**TOY, **STAMP, **log, "recordId": record_id})
    rows = own_cloud.get("tables/logs")
    assert [(row["recordId"], row["deliveries"]) for row in rows] == [("l1", 2), ("l2", 1)]
    assert rows[0]["arguments"]["code"] == "E1"


def test_a_device_gets_another_toy_and_becomes_it(own_cloud: RunningCloud) -> None:
    added = post(own_cloud, "toys", toyId="bear", configuration={"name": "Bear"})
    assert (added["deviceId"], added["configuration"]["name"]) == ("dev-sim-1", "Bear")
    command_id = post(own_cloud, "commands", kind="switchToy", toyId="bear")["commandId"]
    client = client_of(own_cloud)
    bear = {**DEVICE, "toyId": "bear"}
    assert client.query("toys:getConfiguration", bear)["name"] == "Bear"
    acknowledgement = {"recordId": "s1", "commandId": command_id, "outcome": "done"}
    client.mutation("devices:ackCommand", {**DEVICE, **STAMP, **acknowledgement})
    assert [toy["toyId"] for toy in own_cloud.get("toys") if toy["carried"]] == ["bear"]
    assert own_cloud.get("configuration")["name"] == "Bear"


def test_a_device_that_is_forgotten_is_not_found_until_it_is_registered_again(
    own_cloud: RunningCloud,
) -> None:
    client = client_of(own_cloud)
    requests.delete(
        f"{own_cloud.cloud.control_url}/devices/dev-sim-1", timeout=TIMEOUT_S
    ).raise_for_status()
    with pytest.raises(ConvexError) as asked:
        client.query("toys:getConfiguration", TOY)
    with pytest.raises(ConvexError) as authenticated:
        client.mutation("auth:authenticateDevice", CREDENTIALS)
    assert asked.value.data == authenticated.value.data == {"code": "DEVICE_NOT_FOUND"}
    post(own_cloud, "devices", **CREDENTIALS, toyId="toy-sim-1")
    assert client.query("toys:getConfiguration", TOY)


def test_a_rotation_leaves_older_tokens_good_until_they_are_retired(
    own_cloud: RunningCloud,
) -> None:
    old = client_of(own_cloud)
    rotated = post(own_cloud, "rotate-keys", algorithm="RS256")
    token = own_cloud.authenticate()["convexToken"]
    assert jwt.get_unverified_header(token)["kid"] == rotated["signing"]
    assert len(rotated["verifying"]) == 2
    assert old.query("toys:getConfiguration", TOY)
    assert len(post(own_cloud, "rotate-keys", retireOld=True)["verifying"]) == 1
    with pytest.raises(Exception, match="401 NoAuthProvider"):
        old.query("toys:getConfiguration", TOY)
    assert client_of(own_cloud).query("toys:getConfiguration", TOY)


def test_a_client_whose_token_is_taken_back_is_told_at_once(own_cloud: RunningCloud) -> None:
    token = own_cloud.authenticate()["convexToken"]
    authenticate = {"type": "Authenticate", "baseVersion": 0, "tokenType": "User", "value": token}

    async def scenario() -> list[Json]:
        url = own_cloud.cloud.convex_url.replace("http", "ws") + "/api/sync"
        async with asyncio.timeout(TIMEOUT_S), connect(url) as socket:
            await socket.send(json.dumps(authenticate))
            heard = [json.loads(await socket.recv())["type"]]
            await asyncio.to_thread(post, own_cloud, "revoke", deviceId="dev-sim-1")
            heard.append(json.loads(await socket.recv())["type"])
            with pytest.raises(ConnectionClosed, match="1008"):
                await socket.recv()
            return heard

    assert asyncio.run(scenario()) == ["Transition", "AuthError"]
    client = ConvexHttpClient(own_cloud.cloud.convex_url)
    client.set_auth(token)
    with pytest.raises(Exception, match="401 InvalidAuthHeader: the token was revoked"):
        client.query("toys:getConfiguration", TOY)
    assert client_of(own_cloud).query("toys:getConfiguration", TOY)


def test_everybodys_tokens_can_be_taken_back(own_cloud: RunningCloud) -> None:
    client = client_of(own_cloud)
    assert post(own_cloud, "revoke") == {"revoked": ["dev-sim-1"]}
    with pytest.raises(Exception, match="401"):
        client.query("toys:getConfiguration", TOY)
