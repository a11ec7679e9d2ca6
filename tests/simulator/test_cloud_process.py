"""The development cloud as a process: ready, asked, and gone at the end."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from simulator import cloud_process
from simulator.cloud_process import CloudProcess
from simulator.errors import CloudLostError, CloudStartError


def test_it_is_ready_inside_and_gone_outside() -> None:
    """Its addresses are on loopback, its faults can be set, and nobody has spoken to it."""

    async def main() -> int:
        async with CloudProcess("a-secret-for-tests") as cloud:
            assert cloud.convex_url.startswith("http://127.0.0.1:")
            assert cloud.stream_url.startswith("ws://127.0.0.1:")
            await cloud.set_faults({"no_reply": True})
            assert await cloud.turns() == []
            with pytest.raises(CloudLostError, match="the cloud does not answer: HTTPError"):
                await cloud.set_faults({"no_such_fault": True})
            assert cloud._process is not None
            return cloud._process.pid

    assert not Path(f"/proc/{asyncio.run(main())}").exists()


def test_it_is_started_as_it_is_told_and_its_tables_can_be_read() -> None:
    """With more of the command's options, and through the whole control API."""

    async def main() -> None:
        async with CloudProcess("a-secret-for-tests", "--device-id", "another") as cloud:
            assert await cloud.table("reports") == []
            await cloud.post("commands", {"kind": "mute", "deviceId": "another"})
            (command,) = await cloud.get("commands")
            assert (command["deviceId"], command["kind"]) == ("another", "mute")
            with pytest.raises(CloudLostError, match="the cloud does not answer: HTTPError"):
                await cloud.table("no_such_table")

    asyncio.run(main())


def test_one_that_dies_is_told_as_lost() -> None:
    """With one line, and without waiting at the end."""

    async def main() -> None:
        async with CloudProcess("a-secret-for-tests") as cloud:
            assert cloud._process is not None
            os.kill(cloud._process.pid, signal.SIGKILL)
            await cloud._process.wait()
            with pytest.raises(CloudLostError, match="the cloud does not answer: ConnectionError"):
                await cloud.turns()

    asyncio.run(main())


def test_one_that_cannot_start_says_why() -> None:
    """The last line that it said is the message."""

    async def main() -> None:
        async with CloudProcess(""):
            pytest.fail("it started without a secret")

    with pytest.raises(CloudStartError, match="secret") as caught:
        asyncio.run(main())
    assert len(str(caught.value).splitlines()) == 1


@pytest.fixture
def python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program that is started in place of the cloud."""
    program = tmp_path / "python"
    program.touch(mode=0o700)
    monkeypatch.setattr("sys.executable", str(program))
    return program


def test_one_that_ends_without_a_word_is_told_so(python: Path) -> None:
    """Rather than nothing."""
    python.write_text("#!/bin/sh\nexit 3\n")

    async def main() -> None:
        async with CloudProcess("x"):
            pytest.fail("it never was ready")

    with pytest.raises(CloudStartError, match="the cloud ended without a word"):
        asyncio.run(main())


def test_one_that_is_never_ready_is_given_up(python: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a time with a name, and also if it does not listen to being told to end."""
    python.write_text("#!/bin/sh\ntrap '' TERM\nwhile :; do read line < /dev/zero; done\n")
    monkeypatch.setattr(cloud_process, "READY_TIMEOUT_S", 0.2)
    monkeypatch.setattr(cloud_process, "STOP_TIMEOUT_S", 0.2)

    async def main() -> None:
        async with CloudProcess("x"):
            pytest.fail("it never was ready")

    with pytest.raises(CloudStartError, match="the cloud was not ready after 0 s"):
        asyncio.run(main())


def test_one_that_complains_a_lot_is_not_held_up(python: Path) -> None:
    """A pipe that nobody empties would stop it before it is ready."""
    ready = '{"convex_url": "c", "stream_url": "s", "control_url": "x"}'
    python.write_text(
        f"#!/bin/sh\nhead -c 300000 /dev/zero >&2\necho '{ready}'\n"
        "head -c 300000 /dev/zero >&2\necho done >&2\n"
    )

    async def main() -> CloudProcess:
        async with CloudProcess("x") as cloud:
            assert cloud.convex_url == "c"
            assert cloud._process is not None
            async with asyncio.timeout(10):
                await cloud._process.wait()
        return cloud

    said = asyncio.run(main())._said
    assert said.endswith(b"done\n")
    assert len(said) == cloud_process.LINE_BYTES_MAX
