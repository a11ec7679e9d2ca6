from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import requests
from convex import ConvexError
from convex.http_client import ConvexHttpClient

from tests.devcloud.running import CREDENTIALS, DEVICE, TIMEOUT_S, TOY, RunningCloud

if TYPE_CHECKING:
    from tests.devcloud.json_type import Json


def post(cloud: RunningCloud, path: str, **request: Json) -> requests.Response:
    return requests.post(f"{cloud.cloud.convex_url}{path}", timeout=TIMEOUT_S, **request)


def test_the_official_client_authenticates_and_reads_the_configuration(
    cloud: RunningCloud,
) -> None:
    client = ConvexHttpClient(cloud.cloud.convex_url)
    tokens = client.mutation("auth:authenticateDevice", CREDENTIALS)
    assert (tokens["convexTokenLifetimeS"], tokens["websocketTokenLifetimeS"]) == (3600.0, 3600.0)
    client.set_auth(tokens["convexToken"])
    configuration = client.query("toys:getConfiguration", TOY)
    assert set(configuration) == {
        *("name", "wakeWord", "wakeWordEnabled", "wakeWordBargeIn", "continuedConversation"),
        *("voice", "volumeLimit", "quietHours", "dailyPlayMinutes", "safetyLevel"),
        *("allowedTopics", "blockedTopics", "consent", "version"),
    }
    assert set(configuration["consent"]) == {"listen", "storeAudio", "storeTranscripts"}


@pytest.mark.parametrize(
    ("credentials", "code"),
    [
        ({"deviceId": "nobody", "deviceSecret": "sim-secret"}, "DEVICE_NOT_FOUND"),
        ({**DEVICE, "deviceSecret": "wrong"}, "BAD_SECRET"),
    ],
)
def test_the_official_client_raises_convex_errors_with_their_data(
    cloud: RunningCloud, credentials: Json, code: str
) -> None:
    with pytest.raises(ConvexError) as caught:
        ConvexHttpClient(cloud.cloud.convex_url).mutation("auth:authenticateDevice", credentials)
    assert caught.value.data == {"code": code}


def test_the_official_client_hears_that_a_function_is_missing(cloud: RunningCloud) -> None:
    with pytest.raises(Exception, match="Could not find public function for 'no:such'"):
        ConvexHttpClient(cloud.cloud.convex_url).action("no:such")


def test_the_official_client_hears_that_its_token_is_refused(cloud: RunningCloud) -> None:
    client = ConvexHttpClient(cloud.cloud.convex_url)
    client.set_auth(cloud.authenticate()["websocketToken"])
    with pytest.raises(Exception, match="401 InvalidAuthHeader"):
        client.query("toys:getConfiguration", TOY)


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b'{"path": 1, "args": {}}',
        b'{"path": "a:b", "args": [{}, {}]}',
        b'{"path": "a:b", "args": 1}',
        b'{"path": "a:b", "args": {"$x": ""}}',
        b'{"path": "a:b", "args": {}, "format": "xml"}',
        b'{"path": "a:b", "args": ' + b"[" * 100_000,
    ],
)
def test_what_is_no_call_is_refused_with_400(cloud: RunningCloud, body: bytes) -> None:
    answer = post(cloud, "/api/query", data=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "BadRequest")


def test_a_body_that_is_too_large_is_refused_with_413(
    cloud: RunningCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("devcloud.http_api.BODY_BYTES_MAX", 1 << 20)
    answer = post(cloud, "/api/query", data=b"x" * (2 << 20))
    assert (answer.status_code, answer.json()["code"]) == (413, "RequestTooLarge")


def test_arguments_may_come_as_a_list(cloud: RunningCloud) -> None:
    answer = post(
        cloud, "/api/mutation", json={"path": "auth:authenticateDevice", "args": [CREDENTIALS]}
    )
    assert answer.json()["status"] == "success"


def test_the_version_can_be_asked_for(cloud: RunningCloud) -> None:
    answer = requests.get(f"{cloud.cloud.convex_url}/version", timeout=TIMEOUT_S)
    assert answer.text == "devcloud"


def test_the_lines_that_a_function_logs_are_sent_along(cloud: RunningCloud) -> None:
    answer = post(cloud, "/api/action", json={"path": "dev:echo", "args": {"value": 1}})
    assert answer.json() == {"status": "success", "value": 1.0, "logLines": ["[LOG] 'echo'"]}


def test_a_convex_error_may_carry_a_text(cloud: RunningCloud) -> None:
    with pytest.raises(ConvexError) as caught:
        ConvexHttpClient(cloud.cloud.convex_url).mutation("dev:fail", {"data": "no"})
    assert caught.value.data == "no"
