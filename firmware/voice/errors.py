"""What can go wrong with sound, on our side of the microphone and the speaker.

VoiceError
├── MisuseError         we were misused: a bug in the caller, whatever the world does
└── FaultError          the world failed, or somebody handed us something unusable
    ├── SettingError        a setting cannot be; `key` names it
    └── SoundError          one of the toy's own sounds is missing or damaged; `path` names it
"""

from __future__ import annotations

from pathlib import Path


class VoiceError(Exception):
    """Root of everything raised by this package."""


class MisuseError(VoiceError):
    """The caller broke a contract that the message states."""


class FaultError(VoiceError):
    """The world failed; the message says what to do about it."""


class SettingError(FaultError):
    """A setting of the voice cannot be.

    Attributes:
        key: The setting's name.
    """

    def __init__(self, key: str, problem: str) -> None:
        """Compose the one line that a person reads: the setting first, then what is the matter."""
        super().__init__(f"voice.{key} {problem}")
        self.key = key


class SoundError(FaultError):
    """One of the toy's own sounds cannot be used.

    Attributes:
        path: The file.
    """

    def __init__(self, path: Path, problem: str) -> None:
        """Compose the one line that a person reads: the file first, then what is the matter."""
        super().__init__(f"{path}: {problem}")
        self.path = path
