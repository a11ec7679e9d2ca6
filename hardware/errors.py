"""What can go wrong with what a person can touch.

HardwareError
├── MisuseError               we were misused: a bug in the caller, whatever the world does
│   └── ClockStalledError         virtual time: nothing can ever happen again
└── FaultError                the world failed, or somebody handed us something unusable
    ├── UnknownBoardError         no board profile has that name
    ├── ClipError                 a sound file cannot be used; `path` names it
    │   ├── ClipUnreadableError       missing, a folder, or not ours to read
    │   ├── ClipFormatError           not a WAV file at all
    │   ├── ClipEncodingError         a WAV file, but of a kind that is not read here
    │   ├── ClipTruncatedError        it ends before its own header says
    │   ├── ClipEmptyError            not one sample in it
    │   ├── ClipTooLongError          more of it than the named limit
    │   └── ClipUnwritableError       it cannot be written
    ├── CodecError                Opus failed
    │   ├── CodecLibraryError         the shared libraries or their bindings are not there
    │   ├── CorruptPacketError        a packet that is not Opus; the decoder stays usable
    │   └── CorruptFileError          a file that is not Ogg Opus, or damaged
    ├── SoundError                the sound card cannot be used; the message says what to do
    │   ├── SoundLibraryError         PyAudio or PortAudio is not there
    │   ├── SoundDeviceError          there is no such microphone or speaker, or none at all
    │   └── SoundStreamError          it is there and cannot be used, or it has stopped working
    └── VaultError                the secret or a key cannot be had or kept; nothing of it is told
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class HardwareError(Exception):
    """Root of everything raised by this package."""


class MisuseError(HardwareError):
    """The caller broke a contract that the message states."""


class ClockStalledError(MisuseError):
    """Virtual time cannot go on; the message says what everybody is waiting for."""


class FaultError(HardwareError):
    """The world failed; the message says what to do about it."""


class UnknownBoardError(FaultError):
    """No board profile has the name that was asked for."""


class ClipError(FaultError):
    """A sound file cannot be used.

    Attributes:
        path: The file, as the caller named it.
    """

    def __init__(self, path: Path, problem: str) -> None:
        """Compose the one line that a person reads: the file first, then what is the matter."""
        super().__init__(f"{path}: {problem}")
        self.path = path


class ClipUnreadableError(ClipError):
    """The file is missing, is a folder, or may not be read."""


class ClipFormatError(ClipError):
    """The file is not a WAV file."""


class ClipEncodingError(ClipError):
    """The WAV file's encoding, channels or sample rate are not among those read here."""


class ClipTruncatedError(ClipError):
    """The file ends before its own header says it does."""


class ClipEmptyError(ClipError):
    """The file holds no samples."""


class ClipTooLongError(ClipError):
    """The file holds more sound than `hardware.pcm.CLIP_MS_MAX`."""


class ClipUnwritableError(ClipError):
    """The file cannot be written."""


class CodecError(FaultError):
    """Opus reported a failure."""


class CodecLibraryError(CodecError):
    """Opus is not installed on this machine; the message names what to install."""


class CorruptPacketError(CodecError):
    """A packet cannot be decoded: drop it and conceal the gap. The decoder stays usable."""


class CorruptFileError(CodecError):
    """A file is not Ogg Opus of one channel, or is damaged: nothing of it can be relied on."""


class SoundError(FaultError):
    """The sound card cannot be used."""


class SoundLibraryError(SoundError):
    """PyAudio or PortAudio cannot be loaded; the message names what to install."""


class SoundDeviceError(SoundError):
    """There is no such microphone or speaker, or none at all; the message lists what there is."""


class SoundStreamError(SoundError):
    """A microphone or speaker that is there cannot be used, or has stopped working."""


class VaultError(FaultError):
    """The secret or a key cannot be had or kept; the message names the file, and nothing in it."""
