from __future__ import annotations

import base64
import hashlib
import socket
import urllib.parse
from typing import TYPE_CHECKING, Final

import pytest
import requests
from convex.http_client import ConvexHttpClient

from tests.devcloud.running import DEVICE, TIMEOUT_S, RunningCloud

if TYPE_CHECKING:
    from tests.devcloud.json_type import Json

OPUS: Final = {"Content-Type": "audio/opus", "User-Agent": "PommaiDevice/dev-sim-1"}


def new_url(cloud: RunningCloud) -> str:
    client = ConvexHttpClient(cloud.cloud.convex_url)
    client.set_auth(cloud.authenticate()["convexToken"])
    url: str = client.mutation("storage:generateUploadUrl", DEVICE)["url"]
    return url


def upload(url: str, content: bytes = b"sound", **headers: str) -> requests.Response:
    return requests.post(url, content, headers={**OPUS, **headers}, timeout=TIMEOUT_S)


def refusal(answer: requests.Response) -> tuple[int, Json]:
    body = answer.json()
    assert set(body) == {"code", "message"}
    return answer.status_code, body["code"]


def test_a_file_that_was_uploaded_can_be_looked_at(cloud: RunningCloud) -> None:
    storage_id = upload(new_url(cloud)).json()["storageId"]
    row = cloud.get("tables/uploads")[-1]
    assert (row["storageId"], row["userAgent"]) == (storage_id, OPUS["User-Agent"])
    assert row["sha256"] == hashlib.sha256(b"sound").hexdigest()
    shown = requests.get(f"{cloud.cloud.control_url}/uploads/{storage_id}", timeout=TIMEOUT_S)
    assert (shown.content, shown.headers["Content-Type"]) == (b"sound", "audio/opus")


def test_a_url_takes_one_file(cloud: RunningCloud) -> None:
    url = new_url(cloud)
    assert upload(url).ok
    assert refusal(upload(url)) == (401, "StorageTokenUsed")


def test_a_url_that_is_too_old_is_refused(
    cloud: RunningCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cloud.cloud.deployment.uploads, "url_lifetime_s", 0.0)
    assert refusal(upload(new_url(cloud))) == (401, "StorageTokenExpired")


@pytest.mark.parametrize("query", ["", "?token=", "?token=forged", "?token=%FF"])
def test_a_forged_token_is_refused(cloud: RunningCloud, query: str) -> None:
    url = f"{cloud.cloud.convex_url}/api/storage/upload{query}"
    assert refusal(upload(url)) == (401, "StorageTokenInvalid")


def test_too_many_bytes_are_refused_and_the_url_stays_good(
    cloud: RunningCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("devcloud.upload_api.UPLOAD_BYTES_MAX", 100_000)
    url = new_url(cloud)
    assert refusal(upload(url, b"x" * 100_001)) == (413, "FileTooLarge")
    assert upload(url, b"x" * 100_000).ok


def test_a_file_may_be_larger_than_what_the_control_api_takes(cloud: RunningCloud) -> None:
    assert upload(new_url(cloud), b"x" * (3 << 20)).ok


def test_an_upload_that_was_cut_off_stores_nothing_and_may_be_tried_again(
    cloud: RunningCloud,
) -> None:
    url = new_url(cloud)
    before = cloud.get("tables/uploads")
    parts = urllib.parse.urlsplit(url)
    with socket.create_connection((parts.hostname or "", parts.port or 0), TIMEOUT_S) as peer:
        head = f"POST {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
        peer.sendall(head.encode() + b"Content-Length: 1000\r\n\r\n" + b"x" * 500)
    assert upload(url).ok
    assert len(cloud.get("tables/uploads")) == len(before) + 1


def test_a_digest_is_checked(cloud: RunningCloud) -> None:
    url = new_url(cloud)
    digest = base64.b64encode(hashlib.sha256(b"sound").digest()).decode()
    wrong = upload(url, b"noise", Digest=f"sha-256={digest}")
    assert refusal(wrong) == (400, "Sha256Mismatch")
    assert upload(url, Digest=f"sha-256={digest}").ok
