from __future__ import annotations

import base64
import hashlib

import pytest

from devcloud.database import Database
from devcloud.errors import UnknownNameError, UploadError
from devcloud.uploads import UploadHeaders, Uploads

OPUS = UploadHeaders("audio/opus", "PommaiDevice/device")


def refused(uploads: Uploads, token: str, now_ms: int, headers: UploadHeaders = OPUS) -> str:
    with pytest.raises(UploadError) as caught:
        uploads.store(token, b"sound", headers, now_ms)
    return caught.value.code


def test_a_file_is_kept_as_it_came() -> None:
    uploads = Uploads(Database())
    token = uploads.issue("device", 0)
    storage_id = uploads.store(token, b"sound", OPUS, 5)
    assert uploads.read(storage_id) == (b"sound", "audio/opus")
    assert uploads.device_of(storage_id) == "device"
    assert uploads.to_json() == [
        {
            "arrival": 1,
            "storageId": storage_id,
            "deviceId": "device",
            "contentType": "audio/opus",
            "userAgent": "PommaiDevice/device",
            "sha256": hashlib.sha256(b"sound").hexdigest(),
            "sizeBytes": 5,
            "receivedAt": 5,
        }
    ]


def test_a_url_ends_with_its_time() -> None:
    uploads = Uploads(Database())
    uploads.url_lifetime_s = 1.0
    token = uploads.issue("device", 0)
    assert uploads.check(token, 999) == "device"
    assert refused(uploads, token, 1000) == "StorageTokenExpired"


def test_a_url_takes_one_file() -> None:
    uploads = Uploads(Database())
    token = uploads.issue("device", 0)
    uploads.store(token, b"sound", OPUS, 0)
    assert refused(uploads, token, 0) == "StorageTokenUsed"
    assert len(uploads.to_json()) == 1


@pytest.mark.parametrize("token", ["", "forged", "x" * 100_000, "\udc80", "ä"])
def test_a_forged_token_is_refused(token: str) -> None:
    assert refused(Uploads(Database()), token, 0) == "StorageTokenInvalid"


def test_bytes_that_are_not_those_of_the_digest_are_refused_and_may_come_again() -> None:
    uploads = Uploads(Database())
    token = uploads.issue("device", 0)
    digest = base64.b64encode(hashlib.sha256(b"sound").digest()).decode()
    assert refused(uploads, token, 0, OPUS._replace(digest="sha-256=xyz")) == "Sha256Mismatch"
    assert uploads.store(token, b"sound", OPUS._replace(digest=f"sha-256={digest}"), 0)


def test_a_file_that_is_not_there_is_refused_by_name() -> None:
    uploads = Uploads(Database())
    assert uploads.device_of("kg1") is None
    with pytest.raises(UnknownNameError, match="'kg1' is no upload; there are none"):
        uploads.read("kg1")
