"""How a section of the configuration declares its keys: default, unit, meaning."""

from __future__ import annotations

from dataclasses import field
from typing import Any


def setting(default: Any, says: str, *, unit: str = "", secret: bool = False) -> Any:  # noqa: ANN401 - as dataclasses.field
    """Return a dataclass field with what ``pommai run --help`` and the error messages tell of it.

    ``unit`` is empty only for text, names and flags. A ``secret`` is never shown.
    """
    return field(default=default, metadata={"says": says, "unit": unit, "secret": secret}, repr=not secret)
