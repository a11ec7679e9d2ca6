"""A composed toy on virtual time, without a network: what it says, keeps and does by itself."""

from __future__ import annotations

import socket
from contextlib import closing
from pathlib import Path
from typing import Self

from firmware.app import Toy
from firmware.cloud.settings import CloudSettings
from firmware.settings import DeviceSettings, IdentitySettings, Settings
from firmware.stream.settings import StreamSettings
from hardware.sim.vault import VirtualVault
from simulator.watch import Watch, arrives_at
from states.machine import Step


def nobody() -> str:
    """Return an address on this machine at which nobody listens."""
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{taken.getsockname()[1]}"


def settings(data: Path, *, board: str = "sim") -> Settings:
    """Return the configuration of a toy whose cloud and gateway are down."""
    address = nobody()
    return Settings(
        identity=IdentitySettings(device_id="dev-1", toy_id="toy-1", secret_file="secret"),  # noqa: S106 - a name
        device=DeviceSettings(board=board, data_dir=str(data)),
        cloud=CloudSettings(url=f"http://{address}"),
        stream=StreamSettings(url=f"ws://{address}"),
    )


class Composed:
    """``async with Composed(folder) as toy``: started, watched, and closed at the end."""

    def __init__(self, data: Path, *, has_identity: bool = True) -> None:
        self.toy = Toy(settings(data), VirtualVault("secret") if has_identity else None)
        self._watch = Watch()
        self.toy.loop.observers.append(self._watch)

    async def __aenter__(self) -> Self:
        self.toy.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.toy.close()

    @property
    def steps(self) -> list[Step]:
        """Every step so far."""
        return self._watch.steps

    @property
    def rows(self) -> list[str]:
        """What fired so far."""
        return [step.row for step in self.steps]

    @property
    def leaf(self) -> str:
        """Where it is."""
        return self.toy.loop.core.situation.leaf

    @property
    def pattern(self) -> str:
        """What its light shows."""
        return self.toy.board.light_history[-1].pattern

    async def arrives_at(self, leaf: str) -> Step:
        """Return the step that brought it somewhere, or wait for it, a minute at most."""
        return await self._watch.first(arrives_at(leaf), 60, since=0)

    async def fires(self, row: str) -> Step:
        """Return the step at which a row fired, or wait for it, a minute at most."""
        return await self._watch.first(lambda step: step.row == row, 60, since=0)
