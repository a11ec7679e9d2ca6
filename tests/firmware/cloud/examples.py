"""A configuration, a device and settings that are right, to begin tests with."""

from __future__ import annotations

import copy
from typing import Any, Final

from firmware.cloud.credentials import Identity, Tokens
from firmware.cloud.settings import CloudSettings

CONFIGURATION: Final[dict[str, Any]] = {
    "version": 7.0,
    "name": "Bruno",
    "wakeWord": "hey bruno",
    "wakeWordEnabled": True,
    "wakeWordBargeIn": False,
    "continuedConversation": False,
    "voice": "en-us",
    "volumeLimit": 80.0,
    "quietHours": {"start": "19:30", "end": "07:00"},
    "dailyPlayMinutes": 45.0,
    "safetyLevel": "moderate",
    "allowedTopics": ["animals", "space"],
    "blockedTopics": ["war"],
    "consent": {"listen": True, "storeAudio": False, "storeTranscripts": False},
}
"""As ``toys:getConfiguration`` returns it."""

SECRET: Final = "canary-secret-0123456789"  # noqa: S105 - it guards nothing
CONVEX_TOKEN: Final = "canary-convex.0123456789.abcdef"  # noqa: S105
WEBSOCKET_TOKEN: Final = "canary-websocket.0123456789.abcdef"  # noqa: S105
CANARIES: Final = (SECRET, CONVEX_TOKEN, WEBSOCKET_TOKEN)
"""What must never be seen in a text that a person could read."""

GRANT: Final[dict[str, Any]] = {
    "convexToken": CONVEX_TOKEN,
    "websocketToken": WEBSOCKET_TOKEN,
    "convexTokenLifetimeS": 3600.0,
    "websocketTokenLifetimeS": 7200.0,
}
"""As ``auth:authenticateDevice`` returns it."""

IDENTITY: Final = Identity("dev-sim-1", "toy-sim-1", lambda: SECRET)


def configuration(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON
    """Return the example, changed at its top."""
    return {**copy.deepcopy(CONFIGURATION), **changes}


def tokens() -> Tokens:
    """Return a grant that differs from every other."""
    return Tokens.parse(GRANT)


def settings(url: str = "https://toy.example", /, **changes: Any) -> CloudSettings:  # noqa: ANN401 - any setting
    """Return settings as delivered but for `changes`."""
    return CloudSettings(url=url, **changes)
