"""What can go wrong with sound, on our side of the microphone and the speaker.

VoiceError
├── MisuseError         we were misused: a bug in the caller, whatever the world does
└── FaultError          the world failed, or somebody handed us something unusable
    ├── SettingError           a setting cannot be; `key` names it
    ├── SoundError             one of the toy's own sounds is missing or damaged; `path` names it
    ├── WakeWordModelError     the file of a wake word cannot be had; `reason` says why
    └── WakeWordRefusedError   a wake word cannot be used; `reason` says why
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

WakeWordRefusal = Literal[
    "too_short",
    "too_long",
    "unspeakable",
    "too_easily_mistaken",
    "not_heard",
    "bad_model",
    "timed_out",
    "outdated",
    "unavailable",
]
"""Why a wake word is not used.

- `too_short`, `too_long`: the phrase has fewer or more syllables, words or letters than it may.
- `unspeakable`: it has other characters than letters and spaces, or nobody can tell how it sounds.
- `too_easily_mistaken`: it would be heard more than once an hour where nobody said it.
- `not_heard`: it would be missed too often where somebody said it.
- `bad_model`: the file is no model of a wake word, or one that this machine cannot carry.
- `timed_out`: trying it took longer than it may.
- `outdated`: what was kept of an earlier trial is not what this firmware keeps: try the word anew.
- `unavailable`: the machine lacks what it takes to hear it, or to try it.
"""

WakeWordModelFault = Literal[
    "unsafe_address",
    "unreachable",
    "not_there",
    "elsewhere",
    "too_large",
    "wrong_digest",
    "unstorable",
]
"""Why the file of a model cannot be had.

- `unsafe_address`: it would be fetched in the clear, from another machine.
- `unreachable`: the server was not reached, is not who it says, fell silent, hung up or broke down.
- `not_there`: the server refuses to give it.
- `elsewhere`: the server says to ask another one, which is not done.
- `too_large`: it is larger than a model may be.
- `wrong_digest`: what came is not what was announced.
- `unstorable`: the card does not take it.
"""


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


class WakeWordRefusedError(FaultError):
    """A wake word cannot be used, and the one before it stays.

    Attributes:
        reason: Why.
    """

    def __init__(self, reason: WakeWordRefusal) -> None:
        """Compose the line from the reason alone: the word is the family's own business."""
        super().__init__(f"the wake word is refused: {reason}")
        self.reason: WakeWordRefusal = reason


class WakeWordModelError(FaultError):
    """The file of a wake word's model cannot be had.

    Attributes:
        reason: Why.
        is_passing: Whether it may be had another time.
    """

    def __init__(self, reason: WakeWordModelFault) -> None:
        """Compose the line from the reason alone: an address may hold anything."""
        super().__init__(f"the model of a wake word cannot be had: {reason}")
        self.reason: WakeWordModelFault = reason
        self.is_passing = reason in {"unreachable", "unstorable"}


class SoundError(FaultError):
    """One of the toy's own sounds cannot be used.

    Attributes:
        path: The file.
    """

    def __init__(self, path: Path, problem: str) -> None:
        """Compose the one line that a person reads: the file first, then what is the matter."""
        super().__init__(f"{path}: {problem}")
        self.path = path
