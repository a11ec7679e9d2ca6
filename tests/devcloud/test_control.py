from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import requests

from tests.devcloud.running import TIMEOUT_S, RunningCloud

if TYPE_CHECKING:
    from tests.devcloud.json_type import Json


def put(cloud: RunningCloud, what: str, **request: Json) -> requests.Response:
    return requests.put(f"{cloud.cloud.control_url}/{what}", timeout=TIMEOUT_S, **request)


def test_faults_are_set_listed_and_ended(cloud: RunningCloud) -> None:
    assert cloud.post_faults(no_reply=True)["no_reply"] is True
    assert cloud.get("faults")["no_reply"] is True
    assert cloud.post_faults(no_reply=False)["no_reply"] is False


def test_a_change_of_the_configuration_is_answered_with_the_next_version(
    cloud: RunningCloud,
) -> None:
    before = cloud.get("configuration")
    after = cloud.put_configuration(volumeLimit=before["volumeLimit"])
    assert after == {**before, "version": before["version"] + 1}
    assert cloud.get("configuration") == after


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        ({"json": {"volume": 3}}, "'volume' is no configuration field"),
        ({"json": {"volumeLimit": "loud"}}, "volumeLimit: must be 0 to 100 percent"),
        ({"json": [1]}, "not a JSON object"),
        ({"json": {"name": {"$x": ""}}}, "no Convex type"),
        (
            {
                "data": b"{}",
                "headers": {"Content-Type": "application/json; x"},
                "params": "toyId=x",
            },
            "'x' is no toy; there are toy-sim-1",
        ),
        ({"data": b"{"}, "application/json"),
        ({"data": b"{", "headers": {"Content-Type": "application/json"}}, "not JSON"),
    ],
)
def test_what_cannot_be_is_refused_with_400_and_a_reason(
    cloud: RunningCloud, request_: dict[str, Json], says: str
) -> None:
    answer = put(cloud, "configuration", **request_)
    assert answer.status_code == 400
    assert says in answer.json()["error"]


@pytest.mark.parametrize("host", ["evil.example", "10.0.0.1:80", "127.0.0.1.evil.example"])
def test_a_page_that_names_another_host_is_refused(cloud: RunningCloud, host: str) -> None:
    answer = put(cloud, "configuration", json={}, headers={"Host": host})
    assert answer.status_code == 403


def test_localhost_is_loopback_too(cloud: RunningCloud) -> None:
    url = cloud.cloud.control_url.replace("127.0.0.1", "localhost")
    assert requests.get(f"{url}/counters", timeout=TIMEOUT_S).ok


def test_what_is_not_there_is_not_found(cloud: RunningCloud) -> None:
    answer = requests.get(f"{cloud.cloud.control_url}/nothing", timeout=TIMEOUT_S)
    assert answer.status_code == 404
