"""What is started on a desk ends with whoever started it, even when that one is killed."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.firmware.commands.pommai import ROOT, TIMEOUT_S

SCRIPT: Final = """
import asyncio, sys
from pathlib import Path
from simulator.cloud_process import CloudProcess
from simulator.sound_server import SoundServer
from simulator.toy_process import ToyProcess

async def main():
    async with (
        SoundServer() as sound,
        CloudProcess("secret") as cloud,
        ToyProcess(Path(sys.argv[1]), sound.environment) as toy,
        sound.record(),
    ):
        print(sound._process.pid, cloud._process.pid, toy.pid, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


def test_a_sound_server_a_cloud_and_a_toy_end_with_a_process_that_is_killed(
    tmp_path: Path,
) -> None:
    """As by a test run that somebody loses patience with: nobody else would end them."""
    owner = subprocess.Popen(
        (sys.executable, "-c", SCRIPT, str(tmp_path / "data")),
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
    )
    try:
        assert owner.stdout is not None
        watched = [os.pidfd_open(int(pid)) for pid in owner.stdout.readline().split()]
        assert len(watched) == 3
    finally:
        owner.send_signal(signal.SIGKILL)
        owner.communicate(timeout=TIMEOUT_S)
    try:
        for one in watched:
            # It becomes readable when the process has ended.
            assert select.select([one], [], [], TIMEOUT_S)[0]
    finally:
        for one in watched:
            os.close(one)
