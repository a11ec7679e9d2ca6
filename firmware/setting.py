"""How a section of the configuration declares its keys: default, unit, meaning."""

from __future__ import annotations

from dataclasses import field
from typing import Any


def setting(default: Any, says: str, *, unit: str = "") -> Any:  # noqa: ANN401 - as dataclasses.field
    """Return a dataclass field with what ``pommai run --describe`` tells of it.

    ``unit`` is empty only for text, names and flags. No key holds a secret: a file does, which the
    key names.
    """
    return field(default=default, metadata={"says": says, "unit": unit})
