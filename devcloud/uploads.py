"""Files that devices upload: a URL is asked for, and takes the bytes of one file.

A URL's token is random; only its hash is stored. It ends with its time, or with the first file that
was taken whole: an upload that was cut off may be tried again at the same URL.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from typing import TYPE_CHECKING, Final, NamedTuple

from devcloud.errors import UnknownNameError, UploadError

if TYPE_CHECKING:
    from devcloud.database import Database
    from devcloud.json_text import JsonObject

UPLOAD_BYTES_MAX: Final = 20 << 20
URL_LIFETIME_S: Final = 3600.0
FORGOTTEN_AFTER_MS: Final = 24 * 3600 * 1000
"""So long after its end, a URL is told from one that never was."""

HEADER_CHARS_MAX: Final = 256
TOKEN_CHARS_MAX: Final = 256
UNAUTHORIZED: Final = 401
BAD_REQUEST: Final = 400
DIGEST_PREFIX: Final = "sha-256="


class UploadHeaders(NamedTuple):
    """What a request says of the bytes it brings: ``digest`` is ``sha-256=`` and base64."""

    content_type: str | None = None
    user_agent: str | None = None
    digest: str | None = None


class StoredFile(NamedTuple):
    """A file as it was uploaded."""

    content: bytes
    content_type: str | None


class Uploads:
    """The files of a deployment. What writes is called within a transaction of it.

    ``url_lifetime_s`` is for the URLs that are asked for from now on.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self.url_lifetime_s = URL_LIFETIME_S

    def issue(self, device_id: str, now_ms: int) -> str:
        """Make the token of a URL for one file of a device."""
        token = secrets.token_hex(32)
        lifetime_ms = int(self.url_lifetime_s * 1000)
        self._database.write(
            "DELETE FROM upload_urls WHERE expires_at < ?", now_ms - FORGOTTEN_AFTER_MS
        )
        self._database.write(
            "INSERT INTO upload_urls (token_sha256, device_id, expires_at) VALUES (?, ?, ?)",
            *(_digest(token), device_id, now_ms + lifetime_ms),
        )
        return token

    def check(self, token: str, now_ms: int) -> str:
        """Say which device may upload with a token.

        Raises:
            UploadError: the token is none of ours, has expired, or was used.
        """
        row = self._database.row(
            "SELECT * FROM upload_urls WHERE token_sha256 = ?", _digest(token[:TOKEN_CHARS_MAX])
        )
        if row is None:
            raise UploadError(
                UNAUTHORIZED,
                "StorageTokenInvalid",
                "Couldn't decode the StoreFileAuthorization token",
            )
        if row["expires_at"] <= now_ms:
            raise UploadError(
                UNAUTHORIZED, "StorageTokenExpired", "Store File Authorization expired"
            )
        if row["used"]:
            raise UploadError(
                UNAUTHORIZED, "StorageTokenUsed", "this URL has taken its one file already"
            )
        device_id: str = row["device_id"]
        return device_id

    def store(self, token: str, content: bytes, headers: UploadHeaders, now_ms: int) -> str:
        """Store a file and return its id.

        Raises:
            UploadError: as ``check``, or the bytes are not those that the digest is of.
        """
        device_id = self.check(token, now_ms)
        digest = hashlib.sha256(content)
        if headers.digest and headers.digest != _digest_header(digest.digest()):
            raise UploadError(
                BAD_REQUEST, "Sha256Mismatch", "the body is not what the Digest header is of"
            )
        storage_id = f"kg{secrets.token_hex(15)}"
        self._database.write(
            "UPDATE upload_urls SET used = 1 WHERE token_sha256 = ?", _digest(token)
        )
        self._database.write(
            "INSERT INTO uploads (storage_id, device_id, content_type, user_agent, sha256, content,"
            " received_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
            storage_id,
            device_id,
            headers.content_type and headers.content_type[:HEADER_CHARS_MAX],
            headers.user_agent and headers.user_agent[:HEADER_CHARS_MAX],
            digest.hexdigest(),
            content,
            now_ms,
        )
        return storage_id

    def device_of(self, storage_id: str) -> str | None:
        """Say which device uploaded a file; None if there is no such file."""
        row = self._database.row("SELECT device_id FROM uploads WHERE storage_id = ?", storage_id)
        return row["device_id"] if row else None

    def read(self, storage_id: str) -> StoredFile:
        """Read a file.

        Raises:
            UnknownNameError: there is none of that id.
        """
        row = self._database.row(
            "SELECT content, content_type FROM uploads WHERE storage_id = ?", storage_id
        )
        if row is None:
            known = [
                row["storage_id"] for row in self._database.rows("SELECT storage_id FROM uploads")
            ]
            raise UnknownNameError("upload", storage_id, known)
        return StoredFile(row["content"], row["content_type"])

    def to_json(self) -> list[JsonObject]:
        """Write what is known of each file as the control API shows it, in order of arrival."""
        return [
            {
                "arrival": row["arrival"],
                "storageId": row["storage_id"],
                "deviceId": row["device_id"],
                "contentType": row["content_type"],
                "userAgent": row["user_agent"],
                "sha256": row["sha256"],
                "sizeBytes": row["size_bytes"],
                "receivedAt": row["received_at"],
            }
            for row in self._database.rows(
                "SELECT arrival, storage_id, device_id, content_type, user_agent, sha256,"
                " length(content) AS size_bytes, received_at FROM uploads ORDER BY arrival"
            )
        ]


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="replace")).digest()


def _digest_header(digest: bytes) -> str:
    return DIGEST_PREFIX + base64.b64encode(digest).decode("ascii")
