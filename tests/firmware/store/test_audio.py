"""Speech on the card: sealed, bounded, and gone when it should be."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.errors import AudioStoreError, SettingsError
from firmware.store.audio import FILE_BYTES_MAX, AudioSettings, AudioStore
from tests.firmware.store.disk import Disk

KEY = bytes(range(32))
SPEECH = b"OggS canary-of-a-childs-voice " * 40


def store(folder: Path, *, key: bytes = KEY, **limits: int) -> AudioStore:
    """Return a store in a folder."""
    return AudioStore(folder, lambda: key, AudioSettings(**limits))


def files(folder: Path) -> list[Path]:
    """Return what lies on the card, oldest first."""
    return sorted(folder.iterdir())


def test_what_was_stored_is_returned(tmp_path: Path) -> None:
    """Also by a store that begins anew, after a restart."""
    name = store(tmp_path).put(SPEECH)
    assert store(tmp_path).get(name) == SPEECH
    assert store(tmp_path).has(name)


def test_nothing_of_it_can_be_read_on_the_card(tmp_path: Path) -> None:
    """Not the content, not its key, and only its owner may open the file at all."""
    name = store(tmp_path).put(SPEECH)
    (path,) = files(tmp_path)
    assert path.name == f"{name}.sealed"
    content = path.read_bytes()
    assert b"canary" not in content
    assert b"OggS" not in content
    assert KEY not in content
    assert path.stat().st_mode & 0o077 == 0


def test_the_same_speech_is_never_sealed_the_same_way(tmp_path: Path) -> None:
    """A nonce of its own for each file."""
    speech = store(tmp_path)
    for _ in range(20):
        speech.put(SPEECH)
    assert len({path.read_bytes()[:12] for path in files(tmp_path)}) == 20


@given(st.data())
def test_a_file_that_was_changed_is_gone(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """One bit anywhere, or an end that is missing: removed, counted, and never returned."""
    folder = tmp_path_factory.mktemp("audio")
    speech = store(folder)
    name = speech.put(SPEECH[:50])
    (path,) = files(folder)
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    else:
        content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(content)
    assert speech.get(name) is None
    assert speech.damaged == 1
    assert files(folder) == []


def test_a_file_under_anothers_name_is_gone(tmp_path: Path) -> None:
    """The name is authenticated: nobody swaps one child's words for another's."""
    speech = store(tmp_path)
    first, second = speech.put(b"first"), speech.put(b"second")
    (tmp_path / f"{first}.sealed").replace(tmp_path / f"{second}.sealed")
    assert speech.get(second) is None


def test_another_key_opens_nothing(tmp_path: Path) -> None:
    """After the key was erased the files are noise."""
    name = store(tmp_path).put(SPEECH)
    assert store(tmp_path, key=bytes(32)).get(name) is None


def test_the_oldest_gives_way_to_the_newest(tmp_path: Path) -> None:
    """By number and by size, and is counted."""
    speech = store(tmp_path, audio_files_max=3)
    names = [speech.put(SPEECH) for _ in range(5)]
    assert [speech.has(name) for name in names] == [False, False, True, True, True]
    assert speech.gave_way == 2
    smaller = store(tmp_path, audio_bytes_max=2 * len(SPEECH) + 100)
    last = smaller.put(SPEECH)
    assert [path.stem for path in files(tmp_path)] == [names[-1], last]
    assert smaller.gave_way == 2


def test_the_order_survives_a_restart_and_a_wrong_clock(tmp_path: Path) -> None:
    """No file's date is looked at."""
    names = [store(tmp_path).put(SPEECH) for _ in range(12)]
    assert names == sorted(names)


def test_speech_without_end_is_not_stored(tmp_path: Path) -> None:
    """Nor does anything give way to it."""
    speech = store(tmp_path)
    name = speech.put(SPEECH)
    with pytest.raises(AudioStoreError, match="too long"):
        speech.put(bytes(FILE_BYTES_MAX))
    assert speech.has(name)


def test_what_nobody_asks_for_is_removed_at_start(tmp_path: Path) -> None:
    """Orphans of a power cut, and what was half written."""
    speech = store(tmp_path)
    wanted, orphan = speech.put(SPEECH), speech.put(SPEECH)
    (tmp_path / f"{orphan}.sealed.new").write_bytes(b"half")
    assert store(tmp_path).keep_only([wanted, "0000000009-of-a-lost-file"]) == 2
    assert [path.stem for path in files(tmp_path)] == [wanted]


def test_a_folder_that_is_not_there_is_made(tmp_path: Path) -> None:
    """And nothing is in it; nobody else may look."""
    folder = tmp_path / "data" / "audio"
    assert store(folder).keep_only([]) == 0
    assert folder.stat().st_mode & 0o077 == 0
    store(tmp_path / "other").erase()


def test_removed_is_removed(tmp_path: Path) -> None:
    """And removing it again is harmless."""
    speech = store(tmp_path)
    name = speech.put(SPEECH)
    speech.remove(name)
    speech.remove(name)
    assert speech.get(name) is None
    assert not speech.has(name)
    assert files(tmp_path) == []


def test_erased_is_everything(tmp_path: Path) -> None:
    """Whatever its name."""
    speech = store(tmp_path)
    speech.put(SPEECH)
    (tmp_path / "else").write_bytes(b"")
    speech.erase()
    assert files(tmp_path) == []


@pytest.mark.parametrize("name", ["", "..", "../secret", "a/b", "0" * 10 + "-" + "g" * 32, "\x00"])
def test_a_name_that_is_not_ours_touches_nothing(tmp_path: Path, name: str) -> None:
    """It may come from a damaged database."""
    (tmp_path / "secret.sealed").write_bytes(b"kept")
    speech = store(tmp_path / "audio")
    assert speech.get(name) is None
    assert not speech.has(name)
    speech.remove(name)
    assert (tmp_path / "secret.sealed").exists()


def test_a_power_cut_leaves_a_whole_file_or_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At every moment of writing."""
    disk = Disk(tmp_path, monkeypatch)
    name = store(tmp_path).put(SPEECH)
    whole = (tmp_path / f"{name}.sealed").read_bytes()
    for ways in disk.cuts:
        for found in ways:
            assert found.get(f"{name}.sealed", whole) == whole


def test_a_full_card_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By an error of ours, and nothing is left behind."""
    disk = Disk(tmp_path, monkeypatch)
    disk.fails_at = 2
    with pytest.raises(AudioStoreError, match="cannot be written"):
        store(tmp_path).put(SPEECH)


def test_without_a_key_nothing_is_stored(tmp_path: Path) -> None:
    """And what is stored stays: the vault may work again."""
    name = store(tmp_path).put(SPEECH)

    def broken() -> bytes:
        raise RuntimeError("canary-key")

    speech = AudioStore(tmp_path, broken, AudioSettings())
    for attempt in (lambda: speech.put(SPEECH), lambda: speech.get(name)):
        with pytest.raises(AudioStoreError, match="no key") as raised:
            attempt()
        assert "canary" not in str(raised.value)
    with pytest.raises(AudioStoreError, match="32 bytes"):
        store(tmp_path, key=b"short").put(SPEECH)
    assert store(tmp_path).get(name) == SPEECH


@pytest.mark.parametrize("key", ["audio_bytes_max", "audio_files_max"])
def test_a_limit_must_be_above_zero(key: str) -> None:
    """A mistake in the file names its key."""
    with pytest.raises(SettingsError, match=f"{key}: 0"):
        AudioSettings(**{key: 0})


def test_a_toy_that_stores_nothing_does_not_pay_for_ciphers() -> None:
    """They are imported by the first file."""
    program = "import sys, firmware.store.audio; print('cryptography' in sys.modules)"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert ended.stdout == b"False\n"


def test_what_was_put_since_the_start_is_spared(tmp_path: Path) -> None:
    """Whoever clears may have asked what is wanted before; once that is done, all is as told."""
    orphan = store(tmp_path).put(SPEECH)
    speech = store(tmp_path)
    fresh = speech.put(SPEECH)
    assert speech.keep_only([]) == 1
    assert not speech.has(orphan)
    assert speech.has(fresh)
    assert speech.keep_only([]) == 1
    assert not speech.has(fresh)
