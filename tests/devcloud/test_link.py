from __future__ import annotations

import pytest

from devcloud.link import REQUEST_LINE_BYTES_MAX, channel_of


@pytest.mark.parametrize(
    ("head", "channel"),
    [
        (b"", None),
        (b"GET /api/sync HTT", None),
        (b"GET /api/sync HTTP/1.1\r\n", "sync"),
        (b"GET /api/1.17.0/sync?x=/audio-stream HTTP/1.1\r\n", "sync"),
        (b"GET /audio-stream HTTP/1.1\r\n", "stream"),
        (b"GET /audio-stream?x HTTP/1.1\r\n", "stream"),
        (b"GET /ws/dev/toy HTTP/1.1\r\nHost", "stream"),
        (b"POST /api/mutation HTTP/1.1\r\n", "http"),
        (b"\r\n", "http"),
        (b"x" * REQUEST_LINE_BYTES_MAX, "http"),
    ],
)
def test_a_channel_is_told_by_the_first_line(head: bytes, channel: str | None) -> None:
    assert channel_of(head) == channel
