"""The vault in files."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from hardware.errors import MisuseError, VaultError
from hardware.file_vault import FileVault
from hardware.sim.vault import VirtualVault
from hardware.vault import KEY_BYTES, SECRET_CHARS_MAX, Vault

CANARY = "tell-nobody"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file for a secret, which only its owner may read."""
    path = tmp_path / "secret"
    path.touch(mode=0o600)
    return path


@pytest.fixture
def vault(file: Path) -> FileVault:
    """A vault without a key yet, whose secret is the canary."""
    file.write_text(CANARY)
    return FileVault(file, file.parent / "vault")


def mode_of(path: Path) -> int:
    """Return who may do what with a file."""
    return stat.S_IMODE(path.stat().st_mode)


def secret_in(path: Path) -> str:
    """Return the secret in a file."""
    return FileVault(path, path.parent / "vault").secret()


def refused(path: Path) -> str:
    """Return the line that says why the file is refused; the secret is not in it."""
    with pytest.raises(VaultError) as caught:
        secret_in(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert CANARY not in message
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return message


@pytest.mark.parametrize("content", ["s3cret", "s3cret\n", "s3cret\r\n", " s3cret \n\n"])
def test_the_secret_is_what_stands_in_the_file(file: Path, content: str) -> None:
    """The newline that an editor leaves is not part of it."""
    file.write_text(content)
    assert secret_in(file) == "s3cret"


def test_the_longest_secret_may_end_in_a_newline(file: Path) -> None:
    """The limit is on the secret."""
    file.write_text("x" * SECRET_CHARS_MAX + "\n")
    assert len(secret_in(file)) == SECRET_CHARS_MAX


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601])
def test_a_file_that_others_may_read_is_refused(file: Path, mode: int) -> None:
    """And the line says how to mend it."""
    file.write_text(CANARY)
    file.chmod(mode)
    assert refused(file).endswith("others may read it: chmod 600 it")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    """The line says what is wrong and what to do."""
    assert "No such file or directory: write the secret into it" in refused(tmp_path / "none")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    """It cannot be read."""
    assert "Is a directory" in refused(tmp_path)


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    """A toy that starts does not wait for somebody to write."""
    path = tmp_path / "pipe"
    os.mkfifo(path, 0o600)
    assert refused(path).endswith("is neither a file nor a folder")


@pytest.mark.parametrize("content", ["", "\n", CANARY * SECRET_CHARS_MAX])
def test_a_secret_that_is_empty_or_too_long_is_refused(file: Path, content: str) -> None:
    """A recording or an empty file is no secret."""
    file.write_text(content)
    assert refused(file).endswith(f"must hold 1 to {SECRET_CHARS_MAX} characters")


def test_what_is_no_plain_text_is_refused(file: Path) -> None:
    """It could not be sent."""
    file.write_bytes(CANARY.encode() + b"\xff")
    assert "holds no plain text" in refused(file)


@pytest.mark.parametrize("owner", ["file", "folder"])
def test_what_belongs_to_somebody_else_is_refused(
    vault: FileVault, file: Path, monkeypatch: pytest.MonkeyPatch, owner: str
) -> None:
    """Whoever owns a file may read it, whatever its mode says."""
    vault.key("audio")
    monkeypatch.setattr("os.geteuid", lambda: os.getuid() + 1)
    real = os.stat_result

    def others(found: os.stat_result) -> os.stat_result:
        values = list(found)
        values[stat.ST_UID] = 12_345
        return real(values)

    if owner == "file":
        fstat = os.fstat
        monkeypatch.setattr("os.fstat", lambda descriptor: others(fstat(descriptor)))
        assert refused(file).endswith("belongs to somebody else: chown it")
    else:
        stat_of = Path.stat
        monkeypatch.setattr(Path, "stat", lambda path, **_: others(stat_of(path)))
        with pytest.raises(VaultError, match="belongs to somebody else"):
            vault.key("audio")


@pytest.mark.parametrize("kind", ["file", "virtual"])
def test_a_key_is_made_at_the_first_use_and_kept(vault: FileVault, kind: str) -> None:
    """Each name has its own, and each is chance."""
    tested: Vault = vault if kind == "file" else VirtualVault(CANARY)
    audio = tested.key("audio")
    assert len(audio) == KEY_BYTES
    assert tested.key("audio") == audio
    assert tested.key("journal-2") not in {audio, bytes(KEY_BYTES)}
    tested.rotate_key("audio")
    assert tested.key("audio") != audio
    tested.rotate_key("new")
    assert len(tested.key("new")) == KEY_BYTES
    for use in (tested.key, tested.rotate_key):
        for name in ("", "Audio", "a/b", "..", "a" * 33, "2a", "a.key", "a\n"):
            with pytest.raises(MisuseError, match="no name for a key"):
                use(name)


@pytest.mark.parametrize("kind", ["file", "virtual"])
def test_what_was_erased_is_gone(vault: FileVault, kind: str) -> None:
    """The secret for good; a key of the same name is another one."""
    tested: Vault = vault if kind == "file" else VirtualVault(CANARY)
    assert tested.secret() == CANARY
    audio = tested.key("audio")
    tested.erase()
    tested.erase()
    with pytest.raises(VaultError):
        tested.secret()
    assert tested.key("audio") != audio


def test_keys_survive_a_restart(vault: FileVault, file: Path) -> None:
    """What is encrypted today can be read tomorrow."""
    audio = vault.key("audio")
    vault.rotate_key("audio")
    again = FileVault(file, file.parent / "vault")
    assert again.key("audio") == vault.key("audio") != audio


def test_only_the_owner_may_read_keys(vault: FileVault, file: Path) -> None:
    """Whatever the process's mask allows."""
    before = os.umask(0)
    try:
        vault.key("audio")
        vault.rotate_key("audio")
    finally:
        os.umask(before)
    folder = file.parent / "vault"
    assert mode_of(folder) == 0o700
    assert [(path.name, mode_of(path)) for path in folder.iterdir()] == [("audio.key", 0o600)]


@pytest.mark.parametrize("loose", ["vault", "vault/audio.key"])
def test_keys_that_others_may_read_are_refused(vault: FileVault, file: Path, loose: str) -> None:
    """They may have been read already: somebody has to know."""
    vault.key("audio")
    path = file.parent / loose
    path.chmod(mode_of(path) | 0o040)
    with pytest.raises(VaultError, match=f"{path}: others may read it: chmod"):
        vault.key("audio")


@pytest.mark.parametrize("content", [b"", b"short", bytes(KEY_BYTES + 1)])
def test_a_damaged_key_is_told_and_not_replaced_by_itself(
    vault: FileVault, file: Path, content: bytes
) -> None:
    """Whoever knows what it encrypted decides; a new one is made when asked for."""
    vault.key("audio")
    path = file.parent / "vault" / "audio.key"
    path.write_bytes(content)
    with pytest.raises(VaultError, match="is damaged: rotate the key"):
        vault.key("audio")
    assert path.read_bytes() == content
    vault.rotate_key("audio")
    assert len(vault.key("audio")) == KEY_BYTES


def test_what_a_power_cut_left_is_in_nobodys_way(vault: FileVault, file: Path) -> None:
    """A half-written key was never used."""
    folder = file.parent / "vault"
    folder.mkdir(mode=0o700)
    (folder / "audio.new").write_bytes(b"half")
    assert len(vault.key("audio")) == KEY_BYTES
    assert os.listdir(folder) == ["audio.key"]  # noqa: PTH208


def test_a_key_that_cannot_be_kept_is_not_given_out(
    vault: FileVault, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What would be encrypted with it could not be read after a restart; the old one stays."""
    audio = vault.key("audio")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        for use, name in ((vault.key, "other"), (vault.rotate_key, "audio")):
            with pytest.raises(VaultError, match="No space left on device"):
                use(name)
    assert vault.key("audio") == audio
    assert not (file.parent / "vault" / "other.key").exists()


def test_a_vault_without_a_place_is_told(file: Path) -> None:
    """The folder above is not made: it belongs to somebody else."""
    with pytest.raises(VaultError, match="No such file or directory"):
        FileVault(file, file.parent / "none" / "vault").key("audio")


def test_erasing_goes_on_where_it_can(vault: FileVault, file: Path) -> None:
    """What is left is named."""
    vault.key("audio")
    folder = file.parent / "vault"
    (folder / "a-folder").mkdir()
    with pytest.raises(VaultError, match=r"cannot be erased: .*a-folder$"):
        vault.erase()
    assert not file.exists()
    assert os.listdir(folder) == ["a-folder"]  # noqa: PTH208


def test_a_secret_that_cannot_be_removed_is_emptied(
    vault: FileVault, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its folder may be one in which the service may remove nothing."""

    def stay(_: Path) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "unlink", stay)
    vault.erase()
    assert file.read_bytes() == b""


def test_a_folder_that_cannot_be_listed_is_named(file: Path) -> None:
    """Nobody can say what is in it; the secret goes all the same."""
    folder = file.parent / "vault"
    folder.touch()
    with pytest.raises(VaultError, match=r"cannot be erased: .*vault/deeper$"):
        FileVault(file, folder / "deeper").erase()
    assert not file.exists()


def test_threads_that_need_the_same_new_key_get_one(vault: FileVault) -> None:
    """Two would mean that one of them is lost."""
    found: list[bytes] = []
    gate = threading.Barrier(8)

    def use() -> None:
        gate.wait(10)
        found.append(vault.key("audio"))

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(found) == 8
    assert len(set(found)) == 1


@pytest.mark.parametrize("kind", ["file", "virtual"])
def test_nothing_is_in_a_representation(vault: FileVault, kind: str) -> None:
    """Of either kind."""
    tested: Vault = vault if kind == "file" else VirtualVault(CANARY)
    key = tested.key("audio")
    assert tested.is_sealed == (kind == "virtual")
    for shown in (repr(tested), str(tested), f"{tested}"):
        assert CANARY not in shown
        assert repr(key) not in shown
