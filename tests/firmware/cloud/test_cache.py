"""The configuration on disk."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.cloud.cache import FILE_BYTES_MAX, ConfigurationCache
from firmware.cloud.errors import CacheError
from tests.firmware.cloud.examples import CONFIGURATION, configuration

BODY = json.dumps(CONFIGURATION).encode()


def cache_in(folder: Path, toy_id: str = "toy-sim-1") -> ConfigurationCache:
    """Return the cache that the tests use."""
    return ConfigurationCache(folder / "configuration.json", toy_id)


def test_what_was_stored_is_loaded(tmp_path: Path) -> None:
    """By another process, after a restart."""
    cache_in(tmp_path).store(BODY, 7)
    assert cache_in(tmp_path).load() == CONFIGURATION
    assert [path.name for path in tmp_path.iterdir()] == ["configuration.json"]


def test_no_file_is_no_configuration(tmp_path: Path) -> None:
    """As on a new toy: that is no error."""
    assert cache_in(tmp_path).load() is None


def test_a_newer_one_takes_the_place_of_the_older(tmp_path: Path) -> None:
    """Whole."""
    cache_in(tmp_path).store(BODY, 7)
    newer = configuration(version=8, name="Berta" * 30)
    cache_in(tmp_path).store(json.dumps(newer).encode(), 8)
    assert cache_in(tmp_path).load() == newer


def test_a_person_can_see_whose_it_is(tmp_path: Path) -> None:
    """The head says toy and version; nobody else than the owner may read the file."""
    cache_in(tmp_path).store(BODY, 7)
    path = tmp_path / "configuration.json"
    head = json.loads(path.read_text().splitlines()[0])
    assert (head["format"], head["toyId"], head["version"]) == (1, "toy-sim-1", 7)
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_configuration_of_another_toy_is_none(tmp_path: Path) -> None:
    """A device that became another toy does not begin with the old one's consent."""
    cache_in(tmp_path).store(BODY, 7)
    with pytest.raises(CacheError, match="is damaged, or is not that of this toy"):
        cache_in(tmp_path, "toy-sim-2").load()


def test_no_damage_goes_unnoticed(tmp_path: Path) -> None:
    """Any byte changed, and any number of bytes cut off."""
    cache_in(tmp_path).store(BODY, 7)
    path = tmp_path / "configuration.json"
    whole = path.read_bytes()

    @given(st.integers(0, len(whole) - 2), st.integers(0, 255))  # the last byte is a line feed
    def damaged(place: int, change: int) -> None:
        rest = bytes([whole[place] ^ change]) + whole[place + 1 :] if change else b""
        path.write_bytes(whole[:place] + rest)
        with pytest.raises(CacheError, match=r"configuration\.json is damaged"):
            cache_in(tmp_path).load()

    damaged()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"{}\n{}\n",
        b"null\nnull\n",
        b"[]\n[]\n",
        b"7\n7\n",
        b"\xff\xfe\n\x00",
        b"[" * 100_000,
        b" " * (FILE_BYTES_MAX + 1),
    ],
)
def test_whatever_stands_there_is_a_configuration_or_damage(tmp_path: Path, content: bytes) -> None:
    """Somebody else's file raises nothing else."""
    (tmp_path / "configuration.json").write_bytes(content)
    with pytest.raises(CacheError, match="is damaged"):
        cache_in(tmp_path).load()


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """With the system's reason."""
    (tmp_path / "configuration.json").mkdir()
    with pytest.raises(CacheError, match=r"configuration\.json cannot be read \(Is a directory\)"):
        cache_in(tmp_path).load()


def test_a_file_that_cannot_be_written_is_named_and_leaves_the_old_one(tmp_path: Path) -> None:
    """And no half of a new one behind."""
    cache = cache_in(tmp_path / "missing")
    with pytest.raises(CacheError, match=r"cannot be written \(No such file or directory\)"):
        cache.store(BODY, 7)
    (tmp_path / "configuration.json").mkdir()
    with pytest.raises(CacheError, match="cannot be written"):
        cache_in(tmp_path).store(BODY, 7)
    assert [path.name for path in tmp_path.iterdir()] == ["configuration.json"]


def test_it_is_on_the_card_before_it_takes_the_old_ones_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Content, then name, then folder: the order that survives a power cut."""
    done: list[str] = []
    fsync, replace = os.fsync, os.replace

    def noted_fsync(descriptor: int) -> None:
        done.append(f"fsync {Path(f'/proc/self/fd/{descriptor}').readlink()}")
        fsync(descriptor)

    def noted_replace(source: Path, target: Path) -> None:
        done.append(f"replace {target}")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "replace", noted_replace)
    cache_in(tmp_path).store(BODY, 7)
    path = tmp_path / "configuration.json"
    assert done == [f"fsync {path}.new", f"replace {path}", f"fsync {tmp_path}"]
