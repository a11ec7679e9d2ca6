"""A disk that can fail at any moment, and be found as a power cut at any moment leaves it.

What `firmware.store.files` asks of the system passes through here. A power cut keeps what was
synced. Of what was not, anything may be there or not: the content of a file whole, half or not at
all; a renaming done or not done, whatever the order. (ext4 and its like promise no more: fsync(2),
rename(2).)
"""

from __future__ import annotations

import errno
import itertools
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import pytest

from firmware.store import files

Files = Mapping[str, bytes]
"""What is in a folder: content by name."""


class Disk:
    """The folder of one test, watched.

    Attributes:
        fails_at: The step, counted from 1 over all writes, at which the system reports an error.
        steps: What was asked so far.
        cuts: After each step, the ways in which a power cut may leave the folder.
    """

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.fails_at = 0
        self.steps: list[str] = []
        self.cuts: list[list[Files]] = []
        self._folder = folder
        self._durable: dict[str, bytes] = {
            path.name: path.read_bytes() for path in folder.iterdir()
        }
        self._unsynced: dict[str, bytes] = {}
        self._renamed: list[tuple[str, str, bytes]] = []
        self._names: dict[int, str] = {}
        monkeypatch.setattr(files, "os", _System(self))

        def replace(source: Path, target: Path) -> Path:
            return self._replace(source, target)

        monkeypatch.setattr(Path, "replace", replace)

    def step(self, name: str) -> None:
        """Count a step that is about to be taken, or fail it."""
        self.steps.append(name)
        if len(self.steps) == self.fails_at:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    def opened(self, descriptor: int, name: str, *, is_new: bool) -> None:
        """Note what a descriptor stands for; a new file is empty at first."""
        self._names[descriptor] = name
        if is_new:
            self._unsynced[name] = b""
            self._note()

    def written(self, descriptor: int, content: bytes) -> None:
        """Note content that the system has, and the disk perhaps."""
        self._unsynced[self._names[descriptor]] = content
        self._note()

    def synced(self, descriptor: int) -> None:
        """Note that a file's content, or all renamings, are on the disk."""
        name = self._names[descriptor]
        if name in self._unsynced:
            self._durable[name] = self._unsynced.pop(name)
        else:
            for source, target, content in self._renamed:
                self._durable.pop(source, None)
                self._durable[target] = content
            self._renamed.clear()
        self._note()

    def found(self) -> Iterator[Files]:
        """Yield each way in which a power cut now may leave the folder."""
        for kept in itertools.product(*(_losses(*item) for item in self._unsynced.items())):
            contents = self._durable | {name: body for name, body in kept if body is not None}
            for count in range(len(self._renamed) + 1):
                for done in itertools.combinations(self._renamed, count):
                    yield _after(contents, done)

    def _replace(self, source: Path, target: Path) -> Path:
        self.step("rename")
        os.replace(source, target)  # noqa: PTH105 - the method is what stands here
        content = self._unsynced.get(source.name, self._durable.get(source.name, b""))
        self._renamed.append((source.name, target.name, content))
        self._note()
        return target

    def _note(self) -> None:
        self.cuts.append(list(self.found()))


class _System:
    """The part of `os` that `firmware.store.files` uses."""

    O_WRONLY, O_CREAT, O_TRUNC = os.O_WRONLY, os.O_CREAT, os.O_TRUNC
    O_RDONLY, O_DIRECTORY = os.O_RDONLY, os.O_DIRECTORY

    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    def open(self, path: Path, flags: int, mode: int = 0o777) -> int:
        is_new = bool(flags & os.O_CREAT)
        self._disk.step("open" if is_new else "open folder")
        descriptor = os.open(path, flags, mode)
        self._disk.opened(descriptor, path.name, is_new=is_new)
        return descriptor

    def fdopen(self, descriptor: int, mode: str) -> Any:  # noqa: ANN401 - a file, whose write is watched
        return _File(self._disk, descriptor, os.fdopen(descriptor, mode))

    def fsync(self, descriptor: int) -> None:
        self._disk.step("sync")
        os.fsync(descriptor)
        self._disk.synced(descriptor)

    def close(self, descriptor: int) -> None:
        os.close(descriptor)


class _File:
    def __init__(self, disk: Disk, descriptor: int, file: Any) -> None:  # noqa: ANN401 - as above
        self._disk = disk
        self._descriptor = descriptor
        self._file = file
        self._content = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, content: bytes) -> None:
        self._disk.step("write")
        self._content += content
        self._file.write(content)
        self._disk.written(self._descriptor, self._content)

    def flush(self) -> None:
        self._file.flush()

    def fileno(self) -> int:
        return self._descriptor


def _losses(name: str, content: bytes) -> list[tuple[str, bytes | None]]:
    """Return what may be left of an unsynced file: nothing at all, an empty file, half, or all."""
    return [(name, body) for body in (None, b"", content[: len(content) // 2], content)]


def _after(contents: Files, renamings: tuple[tuple[str, str, bytes], ...]) -> Files:
    left = dict(contents)
    for source, target, _ in renamings:
        if source in left:
            left[target] = left.pop(source)
    return left


def put(found: Files, folder: Path) -> Path:
    """Make a folder that holds what was found."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        path.unlink()
    for name, content in found.items():
        (folder / name).write_bytes(content)
    return folder
