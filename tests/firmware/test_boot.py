"""The name of a start of the computer."""

from __future__ import annotations

from pathlib import Path

from firmware.boot import boot_id


def test_the_same_start_has_the_same_name() -> None:
    """Whoever asks."""
    assert boot_id() == boot_id()
    assert 16 <= len(boot_id()) <= 64


def test_where_the_system_has_no_name_each_asking_is_another_start(tmp_path: Path) -> None:
    """Too careful rather than too trusting."""
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "binary").write_bytes(b"\xff")
    for name in ("missing", "empty", "binary"):
        assert boot_id(tmp_path / name) != boot_id(tmp_path / name)
