"""Models of wake words, fetched from servers that do everything wrong."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from firmware.cloud.configuration import WakeWordModel
from firmware.voice.errors import WakeWordModelError
from firmware.voice.wake import models as models_module
from firmware.voice.wake.models import MODEL_BYTES_MAX, Models
from tests.firmware.cloud.certificates import Authority
from tests.firmware.cloud.examples import settings
from tests.firmware.cloud.standin import StandIn, body, hang_up, stall

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator

    from tests.firmware.cloud.standin import Reply, Request

CONTENT: Final = b"a model \x00\xff" * 5_000
SHA256: Final = hashlib.sha256(CONTENT).hexdigest()


@asynccontextmanager
async def models(folder: Path, **changes: Any) -> AsyncIterator[Models]:  # noqa: ANN401 - any setting
    made = Models(folder / "wake-words", settings(**changes))
    try:
        yield made
    finally:
        made.close()


def held(folder: Path) -> list[str]:
    """Return the names of what is kept."""
    return sorted(path.name for path in (folder / "wake-words").glob("*"))


async def reason_of(
    folder: Path,
    *replies: Reply,
    tls: ssl.SSLContext | None = None,
    **changes: Any,  # noqa: ANN401 - any setting
) -> tuple[str, bool]:
    """Return why a model cannot be had from a server that replies so, and whether that passes."""
    async with models(folder, **changes) as m, StandIn(*replies, tls=tls) as server:
        url = f"{server.url.replace('127.0.0.1', 'localhost')}/model.tflite"
        with pytest.raises(WakeWordModelError) as raised:
            await m.get(WakeWordModel(url, SHA256))
        assert url not in str(raised.value)
        assert raised.value.__context__ is None or isinstance(
            raised.value.__context__, TimeoutError
        )
    assert held(folder) == []
    return raised.value.reason, raised.value.is_passing


def test_a_model_is_fetched_once(tmp_path: Path) -> None:
    """It is asked for as a file, without a word of who asks; then it is on the card."""

    async def main() -> list[Request]:
        async with models(tmp_path) as m, StandIn(body(CONTENT)) as server:
            wanted = WakeWordModel(f"{server.url}/a/model.tflite?v=2", SHA256)
            for _ in range(2):
                path = await m.get(wanted)
                assert path.read_bytes() == CONTENT
            return server.requests

    (request,) = asyncio.run(main())
    assert request.path == "/a/model.tflite?v=2"
    assert request.content == b""
    assert request.headers["accept-encoding"] == "identity"
    assert "authorization" not in request.headers
    assert held(tmp_path) == [SHA256]
    (path,) = (tmp_path / "wake-words").iterdir()
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_model_on_the_card_is_checked_each_time(tmp_path: Path) -> None:
    """What the card has made of it is replaced."""

    async def main() -> None:
        async with models(tmp_path) as m, StandIn(body(CONTENT)) as server:
            wanted = WakeWordModel(server.url, SHA256)
            path = await m.get(wanted)
            path.write_bytes(CONTENT[:-1])
            assert (await m.get(wanted)).read_bytes() == CONTENT
            assert len(server.requests) == 2

    asyncio.run(main())


def test_a_model_comes_over_tls_from_whom_the_cloud_trusts(tmp_path: Path) -> None:
    authority = Authority(tmp_path)

    async def main() -> None:
        async with (
            models(tmp_path, ca_file=str(authority.path)) as m,
            StandIn(body(CONTENT), tls=authority.server_context()) as server,
        ):
            wanted = WakeWordModel(f"https://localhost:{server.port}/model", SHA256)
            assert (await m.get(wanted)).read_bytes() == CONTENT

    asyncio.run(main())


def test_a_server_that_is_not_who_it_says_is_asked_for_nothing(tmp_path: Path) -> None:
    """Its certificate is nobody's, or for another host, or it speaks only what is too old."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    authority, other = Authority(tmp_path), Authority(elsewhere)
    contexts = [
        other.server_context(),
        authority.issue("elsewhere.example").context(),
        authority.server.old_context(),
    ]
    for tls in contexts:
        found = asyncio.run(
            reason_of(tmp_path, body(CONTENT), tls=tls, ca_file=str(authority.path))
        )
        assert found == ("unreachable", True)


def test_an_authority_file_that_is_gone_may_be_there_another_time(tmp_path: Path) -> None:
    tls = Authority(tmp_path).server_context()
    found = asyncio.run(reason_of(tmp_path, body(CONTENT), tls=tls, ca_file="/nowhere/ca.pem"))
    assert found == ("unreachable", True)


@pytest.mark.parametrize(
    ("reply", "reason", "is_passing"),
    [
        (body(CONTENT[:-1]), "wrong_digest", False),
        (body(b""), "wrong_digest", False),
        (body(bytes(MODEL_BYTES_MAX + 1)), "too_large", False),
        (body(b"", "404 Not Found"), "not_there", False),
        (body(b"", "403 Forbidden"), "not_there", False),
        (body(CONTENT, "206 Partial Content"), "not_there", False),
        (body(b"", "302 Found", "Location: http://127.0.0.1/model"), "elsewhere", False),
        (body(b"", "503 Service Unavailable"), "unreachable", True),
        (body(b"", "429 Too Many Requests"), "unreachable", True),
        (hang_up, "unreachable", True),
    ],
)
def test_a_server_that_does_not_give_it_says_why(
    tmp_path: Path, reply: Reply, reason: str, *, is_passing: bool
) -> None:
    assert asyncio.run(reason_of(tmp_path, reply)) == (reason, is_passing)


def test_a_model_that_is_cut_off_is_not_kept(tmp_path: Path) -> None:
    async def cut(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(CONTENT)}\r\n\r\n".encode())
        writer.write(CONTENT[:20_000])
        await writer.drain()
        writer.close()

    assert asyncio.run(reason_of(tmp_path, cut)) == ("unreachable", True)


def test_a_server_that_falls_silent_is_not_waited_for(tmp_path: Path) -> None:
    found = asyncio.run(reason_of(tmp_path, stall, read_timeout_ms=100))
    assert found == ("unreachable", True)


def test_a_server_that_dawdles_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though no single wait is long."""
    monkeypatch.setattr(models_module, "FETCH_MS_MAX", 300)

    async def dawdle(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.01)

    assert asyncio.run(reason_of(tmp_path, dawdle)) == ("unreachable", True)


def test_nobody_at_the_address_may_be_there_another_time(tmp_path: Path) -> None:
    async def main() -> WakeWordModelError:
        async with models(tmp_path) as m:
            async with StandIn(hang_up) as server:
                url = server.url
            with pytest.raises(WakeWordModelError) as raised:
                await m.get(WakeWordModel(url, SHA256))
        return raised.value

    assert asyncio.run(main()).is_passing


@pytest.mark.parametrize(
    "url",
    [
        "http://models.example/model",
        "ftp://127.0.0.1/model",
        "file:///etc/passwd",
        "https://",
        "https://[::1/model",
        "https://models.example:99999/model",
    ],
)
def test_an_address_that_is_not_safe_is_not_asked(tmp_path: Path, url: str) -> None:
    async def main() -> WakeWordModelError:
        async with models(tmp_path) as m:
            with pytest.raises(WakeWordModelError) as raised:
                await m.get(WakeWordModel(url, SHA256))
        return raised.value

    error = asyncio.run(main())
    assert (error.reason, error.is_passing) == ("unsafe_address", False)


def test_a_card_that_takes_nothing_may_do_so_another_time(tmp_path: Path) -> None:
    """There is a file where the folder should be."""
    (tmp_path / "wake-words").touch()

    async def main() -> WakeWordModelError:
        async with models(tmp_path) as m, StandIn(body(CONTENT)) as server:
            with pytest.raises(WakeWordModelError) as raised:
                await m.get(WakeWordModel(server.url, SHA256))
        return raised.value

    error = asyncio.run(main())
    assert (error.reason, error.is_passing) == ("unstorable", True)


def test_of_several_models_one_stays(tmp_path: Path) -> None:
    """And whatever a power cut left of another."""
    folder = tmp_path / "wake-words"
    folder.mkdir()
    for name in (SHA256, "other", f"{SHA256}.new"):
        (folder / name).write_bytes(CONTENT)

    async def main() -> None:
        async with models(tmp_path) as m:
            await m.keep_only(SHA256)
            assert held(tmp_path) == [SHA256]
            await m.keep_only(None)
            assert held(tmp_path) == []

    asyncio.run(main())


def test_there_is_nothing_to_remove_where_there_was_no_model(tmp_path: Path) -> None:
    async def main() -> None:
        async with models(tmp_path) as m:
            await m.keep_only(None)

    asyncio.run(main())
