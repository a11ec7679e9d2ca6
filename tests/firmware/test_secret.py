"""The device's secret in a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from firmware.errors import SettingsError
from firmware.secret import SECRET_CHARACTERS_MAX, read_secret


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file for a secret, which only its owner may read."""
    path = tmp_path / "secret"
    path.touch(mode=0o600)
    return path


def refused(path: Path) -> str:
    """Return the line that says why the file is refused; the secret is not in it."""
    with pytest.raises(SettingsError) as caught:
        read_secret(path)
    message = str(caught.value)
    assert message.startswith(f"identity.secret_file {path}: ")
    assert "tell-nobody" not in message
    assert caught.value.__cause__ is None
    return message


@pytest.mark.parametrize("content", ["s3cret", "s3cret\n", "s3cret\r\n", " s3cret \n\n"])
def test_the_secret_is_what_stands_in_the_file(file: Path, content: str) -> None:
    """The newline that an editor leaves is not part of it."""
    file.write_text(content)
    assert read_secret(file) == "s3cret"


def test_the_longest_secret_may_end_in_a_newline(file: Path) -> None:
    """The limit is on the secret."""
    file.write_text("x" * SECRET_CHARACTERS_MAX + "\n")
    assert len(read_secret(file)) == SECRET_CHARACTERS_MAX


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601])
def test_a_file_that_others_may_read_is_refused(file: Path, mode: int) -> None:
    """And the line says how to mend it."""
    file.write_text("tell-nobody")
    file.chmod(mode)
    assert refused(file).endswith("others may read it: chmod 600 it")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    """The line says what is wrong and what to do."""
    assert "No such file or directory: write the secret into it" in refused(tmp_path / "none")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    """It cannot be read."""
    assert "Is a directory" in refused(tmp_path)


@pytest.mark.parametrize("content", ["", "\n", "tell-nobody" * SECRET_CHARACTERS_MAX])
def test_a_secret_that_is_empty_or_too_long_is_refused(file: Path, content: str) -> None:
    """A recording or an empty file is no secret."""
    file.write_text(content)
    assert refused(file).endswith(f"must hold 1 to {SECRET_CHARACTERS_MAX} characters")


def test_what_is_no_plain_text_is_refused(file: Path) -> None:
    """It could not be sent."""
    file.write_bytes(b"tell-nobody\xff")
    assert "holds no plain text" in refused(file)
