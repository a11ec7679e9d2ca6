"""The tree of errors."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

from hardware import errors
from hardware.errors import ClipFormatError, FaultError, HardwareError, MisuseError


def test_the_tree_drawn_at_the_top_is_the_tree_in_force() -> None:
    """Every class stands in the drawing, under its parent, and nothing else does."""
    drawing = (errors.__doc__ or "").splitlines()
    found: dict[str, str] = {}
    line_of_depth: dict[int, str] = {}
    for line in drawing:
        match = re.search(r"(\w+Error)\b", line)
        if match:
            depth = match.start()
            line_of_depth[depth] = match.group(1)
            parents = [d for d in line_of_depth if d < depth]
            found[match.group(1)] = line_of_depth[max(parents)] if parents else "Exception"
    classes = {
        name: kind.__bases__[0].__name__
        for name, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, HardwareError)
    }
    assert found == classes


def test_misuse_and_the_world_are_told_apart() -> None:
    """Whoever catches a fault of the world does not swallow a bug."""
    assert not issubclass(MisuseError, FaultError)
    assert not issubclass(FaultError, MisuseError)


def test_a_clip_error_begins_with_the_file() -> None:
    """One line, the file first."""
    error = ClipFormatError(Path("a/b.wav"), "is not a WAV file")
    assert str(error) == "a/b.wav: is not a WAV file"
    assert error.path == Path("a/b.wav")
