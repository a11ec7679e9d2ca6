"""What the development cloud knows: devices, toys, and the time of the last commit."""

from __future__ import annotations

import hmac
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from devcloud.configuration import initial_configuration, merge
from devcloud.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from devcloud.values import ConvexObject

TIMESTAMP_MAX: Final = 2**63 - 1
"""Convex's timestamps are nanoseconds that fit in an int64."""


@dataclass(frozen=True, slots=True)
class Device:
    """A device that may authenticate."""

    device_id: str
    secret: str

    def knows(self, secret: str) -> bool:
        """Tell whether the secret is right, in the same time whatever is wrong with it."""
        return hmac.compare_digest(self.secret.encode(), secret.encode())


@dataclass(frozen=True, slots=True)
class Toy:
    """A toy: which device carries it, and how its parent wants it to be."""

    toy_id: str
    device_id: str
    configuration: ConvexObject


class Deployment:
    """The data that functions read and write, in memory.

    ``timestamp`` is the time of the last commit, in nanoseconds since 1970; it only rises. Whoever
    shows data to clients registers with ``watching`` and is called after each commit.
    """

    def __init__(self, clock_ns: Callable[[], int] = time.time_ns) -> None:
        self._clock_ns = clock_ns
        self._devices: dict[str, Device] = {}
        self._toys: dict[str, Toy] = {}
        self._watchers: set[Callable[[], None]] = set()
        self.timestamp = clock_ns()

    def add(self, device: Device, toy: Toy) -> None:
        """Register a device together with the toy it carries."""
        self._devices[device.device_id] = device
        self._toys[toy.toy_id] = toy

    def device(self, device_id: str) -> Device | None:
        """Find a device."""
        return self._devices.get(device_id)

    def toy(self, toy_id: str, device_id: str) -> Toy | None:
        """Find a toy, if that device carries it."""
        toy = self._toys.get(toy_id)
        return toy if toy and toy.device_id == device_id else None

    def configuration(self, toy_id: str | None = None) -> ConvexObject:
        """Find a toy's configuration; ``toy_id`` may be left out while there is only one.

        Raises:
            SettingsError: no such toy; the text names those that there are.
        """
        return self._find(toy_id).configuration

    def configure(self, changes: ConvexObject, toy_id: str | None = None) -> ConvexObject:
        """Merge changes into a toy's configuration and return it; subscribers get to see it.

        Raises:
            SettingsError: no such toy, or the changes cannot be; nothing was changed.
        """
        toy = self._find(toy_id)
        toy = replace(toy, configuration=merge(toy.configuration, changes))
        self._toys[toy.toy_id] = toy
        self.commit()
        for watcher in tuple(self._watchers):
            watcher()
        return toy.configuration

    def commit(self) -> int:
        """Take a new timestamp for something that has just been decided, and return it."""
        # The wall clock may have been set back; timestamps must not follow it.
        self.timestamp = max(self.timestamp + 1, self._clock_ns())
        return self.timestamp

    @contextmanager
    def watching(self, watcher: Callable[[], None]) -> Iterator[None]:
        """Have ``watcher`` called after each commit that changed data, while the context lasts."""
        self._watchers.add(watcher)
        try:
            yield
        finally:
            self._watchers.discard(watcher)

    def _find(self, toy_id: str | None) -> Toy:
        if toy_id is None and len(self._toys) == 1:
            (toy_id,) = self._toys
        toy = self._toys.get(toy_id or "")
        if toy is None:
            raise SettingsError(f"no such toy: toyId must be one of {', '.join(self._toys)}")
        return toy


def seeded(device_id: str, secret: str, toy_id: str) -> Deployment:
    """Make a deployment that knows one device with one toy, fresh from the set-up."""
    deployment = Deployment()
    deployment.add(Device(device_id, secret), Toy(toy_id, device_id, initial_configuration()))
    return deployment
