"""Rows of ``devices:commands`` that are right, to begin tests with."""

from __future__ import annotations

from typing import Any, Final

RIGHT: Final[dict[str, dict[str, Any]]] = {
    "lock": {},
    "pause": {"durationS": 600.0},
    "release": {"lockId": "boot1"},
    "stop": {},
    "say": {"text": "Dinner is ready."},
    "volume": {"percent": 35.0},
    "mute": {},
    "unmute": {},
    "extend": {"minutes": 15.0},
    "reboot": {},
    "switchToy": {"toyId": "toy-2"},
    "update": {},
    "erase": {},
    "export": {},
}
"""What each kind needs besides its name."""


def row(kind: str, command: str = "c1", at: float = 1_000.0, /, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON
    """Return a row as the cloud sends it."""
    return {
        "commandId": command,
        "issuedAt": at,
        "kind": kind,
        "toyId": None,
        **RIGHT.get(kind, {}),
        **more,
    }
