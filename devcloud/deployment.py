"""What the development cloud knows: devices, toys, what they were told and what they sent."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from devcloud import values
from devcloud.commands import Commands
from devcloud.configuration import VERSION, initial_configuration, merge
from devcloud.database import Database
from devcloud.errors import SettingsError, UnknownNameError
from devcloud.records import Records
from devcloud.uploads import Uploads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from devcloud.json_text import JsonObject
    from devcloud.values import ConvexObject

TIMESTAMP_MAX: Final = 2**63 - 1
"""Convex's timestamps are nanoseconds that fit in an int64."""

NS_PER_MS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Device:
    """A device that may authenticate, and the toy that it is at present."""

    device_id: str
    secret_sha256: bytes
    toy_id: str

    def knows(self, secret: str) -> bool:
        """Tell whether the secret is right, in the same time whatever is wrong with it."""
        return hmac.compare_digest(self.secret_sha256, _digest(secret))


@dataclass(frozen=True, slots=True)
class Toy:
    """A toy: which device carries it, and how its parent wants it to be."""

    toy_id: str
    device_id: str
    configuration: ConvexObject


class Deployment:
    """The data that functions read and write.

    ``data`` is the file it is in; without one it is in memory. ``commands``, ``records`` and
    ``uploads`` are parts of it. ``timestamp`` is the time of the last commit, in nanoseconds since
    1970; it only rises, from one run to the next too. ``url`` is where the deployment is reached,
    once it is. Whoever shows data to clients registers with
    ``watching`` and is called after each commit.

    Raises:
        DataFileError: the file cannot be used.
    """

    def __init__(
        self, clock_ns: Callable[[], int] = time.time_ns, data: Path | None = None
    ) -> None:
        self._clock_ns = clock_ns
        self._database = Database(data)
        self._watchers: set[Callable[[], None]] = set()
        self.url = ""
        self.commands = Commands(self._database)
        self.records = Records(self._database)
        self.uploads = Uploads(self._database)
        last = self._database.row("SELECT timestamp_ns FROM clock")
        self.timestamp = max(clock_ns(), last["timestamp_ns"] + 1) if last else clock_ns()
        if not last:
            self._database.write("INSERT INTO clock VALUES (?)", self.timestamp)

    @property
    def now_ms(self) -> int:
        """The time of day, in milliseconds since 1970."""
        return self._clock_ns() // NS_PER_MS

    def close(self) -> None:
        """Give the file back. Nothing can be asked afterwards."""
        self._database.close()

    def add_device(self, device_id: str, secret: str, toy_id: str) -> None:
        """Register a device with the toy it carries at first; one that is known keeps its toy.

        Raises:
            SettingsError: another device carries that toy.
        """
        with self.transaction():
            self._database.write(
                "INSERT INTO devices VALUES (?, ?, ?) ON CONFLICT (device_id)"
                " DO UPDATE SET secret_sha256 = excluded.secret_sha256",
                *(device_id, _digest(secret), toy_id),
            )
            if not self.toy(toy_id, device_id):
                self._insert_toy(Toy(toy_id, device_id, initial_configuration()))

    def remove_device(self, device_id: str) -> None:
        """Forget a device; its toys and what it sent stay, for when it is registered again."""
        with self.transaction():
            self._database.write("DELETE FROM devices WHERE device_id = ?", device_id)

    def add_toy(self, toy_id: str, device_id: str, changes: ConvexObject) -> Toy:
        """Register another toy of a device: the configuration of a new one, with those changes.

        Raises:
            SettingsError: there is no such device, there is such a toy, or the changes cannot be.
        """
        if self.device(device_id) is None:
            raise UnknownNameError("device", device_id, self.device_ids())
        configuration = merge(initial_configuration(), changes)
        toy = Toy(toy_id, device_id, {**configuration, VERSION: 1.0})
        with self.transaction():
            self._insert_toy(toy)
        return toy

    def device(self, device_id: str) -> Device | None:
        """Find a device."""
        row = self._database.row("SELECT * FROM devices WHERE device_id = ?", device_id)
        return Device(row["device_id"], row["secret_sha256"], row["toy_id"]) if row else None

    def device_ids(self) -> list[str]:
        """List the devices."""
        return [row["device_id"] for row in self._database.rows("SELECT device_id FROM devices")]

    def one_device(self, device_id: str | None) -> str:
        """Check a device's id; it may be left out while there is only one.

        Raises:
            SettingsError: no such device; the nearest one is named.
        """
        known = self.device_ids()
        if device_id is None and len(known) == 1:
            return known[0]
        if device_id is None:
            raise SettingsError(f"deviceId must be one of {', '.join(known)}")
        if device_id not in known:
            raise UnknownNameError("device", device_id, known)
        return device_id

    def toy(self, toy_id: str, device_id: str) -> Toy | None:
        """Find a toy, if that device carries it."""
        row = self._database.row("SELECT device_id FROM toys WHERE toy_id = ?", toy_id)
        if row is None or row["device_id"] != device_id:
            return None
        return Toy(toy_id, device_id, self._configuration(toy_id))

    def toys(self, device_id: str | None = None) -> list[str]:
        """List the toys, or those of one device, as they came."""
        rows = self._database.rows("SELECT toy_id, device_id FROM toys ORDER BY rowid")
        return [row["toy_id"] for row in rows if device_id in {None, row["device_id"]}]

    def toys_to_json(self) -> list[JsonObject]:
        """Write all toys as the control API shows them; ``carried`` are those that are on now."""
        rows = self._database.rows(
            "SELECT toys.*, toys.toy_id = devices.toy_id AS carried"
            " FROM toys JOIN devices USING (device_id) ORDER BY toys.rowid"
        )
        return [
            {
                "toyId": row["toy_id"],
                "deviceId": row["device_id"],
                "carried": bool(row["carried"]),
                "configuration": values.encode(self._configuration(row["toy_id"])),
            }
            for row in rows
        ]

    def carry(self, device_id: str, toy_id: str) -> None:
        """Note which of its toys a device is now. Within a transaction."""
        self._database.write("UPDATE devices SET toy_id = ? WHERE device_id = ?", toy_id, device_id)

    def configuration(self, toy_id: str | None = None) -> ConvexObject:
        """Find a toy's configuration; without ``toy_id``, the one that the only device carries.

        Raises:
            SettingsError: no such toy; the nearest one is named.
        """
        return self._configuration(self._one_toy(toy_id))

    def configure(self, changes: ConvexObject, toy_id: str | None = None) -> ConvexObject:
        """Merge changes into a toy's configuration and return it; subscribers get to see it.

        Raises:
            SettingsError: no such toy, or the changes cannot be; nothing was changed.
        """
        toy_id = self._one_toy(toy_id)
        configuration = merge(self._configuration(toy_id), changes)
        with self.transaction():
            self._insert_configuration(toy_id, configuration)
        return configuration

    def configurations(self, toy_id: str) -> list[ConvexObject]:
        """List all that a toy's configuration has ever been, oldest first."""
        rows = self._database.rows(
            "SELECT configuration FROM configurations WHERE toy_id = ? ORDER BY version", toy_id
        )
        return [values.decode_object(json.loads(row["configuration"])) for row in rows]

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Keep all that is written in the context, or none of it if an error leaves it.

        It is a commit: the timestamp rises, and who watches is told.
        """
        before = self.timestamp
        try:
            with self._database.transaction():
                yield
                self.commit()
        except BaseException:
            self.timestamp = before
            raise
        for watcher in tuple(self._watchers):
            watcher()

    def commit(self) -> int:
        """Take a new timestamp for something that has just been decided, and return it."""
        # The wall clock may have been set back; timestamps must not follow it.
        self.timestamp = max(self.timestamp + 1, self._clock_ns())
        self._database.write("UPDATE clock SET timestamp_ns = ?", self.timestamp)
        return self.timestamp

    @contextmanager
    def watching(self, watcher: Callable[[], None]) -> Iterator[None]:
        """Have ``watcher`` called after each commit, while the context lasts."""
        self._watchers.add(watcher)
        try:
            yield
        finally:
            self._watchers.discard(watcher)

    def _one_toy(self, toy_id: str | None) -> str:
        known = self.toys()
        if toy_id is None:
            devices = [self.device(device_id) for device_id in self.device_ids()]
            if len(devices) == 1 and devices[0]:
                return devices[0].toy_id
            raise SettingsError(f"toyId must be one of {', '.join(known)}")
        if toy_id not in known:
            raise UnknownNameError("toy", toy_id, known)
        return toy_id

    def _configuration(self, toy_id: str) -> ConvexObject:
        row = self._database.row(
            "SELECT configuration FROM configurations WHERE toy_id = ?"
            " ORDER BY version DESC LIMIT 1",
            toy_id,
        )
        assert row is not None  # noqa: S101 - a toy is inserted together with its first one
        return values.decode_object(json.loads(row["configuration"]))

    def _insert_toy(self, toy: Toy) -> None:
        if toy.toy_id in self.toys():
            raise SettingsError(f"there is a toy {toy.toy_id!r} already")
        self._database.write("INSERT INTO toys VALUES (?, ?)", toy.toy_id, toy.device_id)
        self._insert_configuration(toy.toy_id, toy.configuration)

    def _insert_configuration(self, toy_id: str, configuration: ConvexObject) -> None:
        version = configuration[VERSION]
        assert isinstance(version, float)  # noqa: S101 - ours since initial_configuration
        self._database.write(
            "INSERT INTO configurations VALUES (?, ?, ?)",
            *(toy_id, int(version), json.dumps(values.encode(configuration))),
        )


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def seeded(device_id: str, secret: str, toy_id: str, data: Path | None = None) -> Deployment:
    """Make a deployment that knows one device with one toy, fresh from the set-up.

    A file that knows more keeps it; the device's secret is then the one given here.

    Raises:
        DataFileError: the file cannot be used.
        SettingsError: the file has that toy on another device.
    """
    deployment = Deployment(data=data)
    deployment.add_device(device_id, secret, toy_id)
    return deployment
