"""What can go wrong in the development cloud.

::

    DevcloudError
    ├── MisuseError                  we were misused: whoever called must change something
    │   ├── SettingsError            a setting, a fault or a configuration that cannot be
    │   │   └── UnknownNameError     … because nothing has that name
    │   ├── MalformedMessageError    a message that its protocol does not allow
    │   │   ├── BadPacketError       audio that cannot be decoded, or of the wrong length
    │   │   └── UnknownFrameError    … and whose rule for it is to drop it without an answer
    │   ├── ValueEncodingError       JSON that is no Convex value
    │   ├── TokenError               a token that is missing, forged, expired or for another use
    │   ├── UploadError              an upload that is refused
    │   └── FunctionError            a Convex function refused the call
    │       └── ConvexError          … with data for the caller, as its protocol has it
    └── WorldError                   the world failed: the caller did nothing wrong
        ├── PortBusyError            somebody else listens on our port
        ├── DataFileError            the file with the data cannot be used
        ├── MissingPartError         a program or library of the system is not installed
        ├── RecognitionError         the recogniser ended or did not answer in time
        └── SpeechError              the synthesiser ended badly or did not answer in time
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from devcloud.values import ConvexValue

QUOTED_CHARS_MAX: Final = 80
"""How much of an unknown name is repeated to the one who sent it."""


class DevcloudError(Exception):
    """Anything the development cloud raises on purpose."""


class MisuseError(DevcloudError):
    """We were misused: the same call fails again until the caller changes something."""


class SettingsError(MisuseError):
    """A setting, a fault or a toy's configuration that cannot be; the text names it."""


class UnknownNameError(SettingsError):
    """Nothing has that name; the text offers the nearest one that something has.

    ``what`` is the kind of thing that was named, ``known`` the names there are.
    """

    def __init__(self, what: str, name: str, known: Iterable[str]) -> None:
        names = list(known)
        nearest = difflib.get_close_matches(name[:QUOTED_CHARS_MAX], names, n=1)
        hint = f"did you mean {nearest[0]!r}?" if nearest else f"there are {', '.join(names)}"
        if not names:
            hint = "there are none"
        super().__init__(f"{name[:QUOTED_CHARS_MAX]!r} is no {what}; {hint}")


class MalformedMessageError(MisuseError):
    """A message that its protocol does not allow; the text says what was expected."""


class BadPacketError(MalformedMessageError):
    """Audio that is not in its format: no Opus, not one 20 ms frame, no WAV, half a sample."""


class UnknownFrameError(MalformedMessageError):
    """A binary message of a version, a kind or a length that nobody here knows."""


class ValueEncodingError(MisuseError):
    """JSON that is no Convex value, or a value beyond Convex's limits."""


class TokenError(MisuseError):
    """A token was refused.

    ``code`` is the short word that Convex puts beside the text, such as ``InvalidAuthHeader``.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class UploadError(MisuseError):
    """An upload was refused.

    ``status`` is the answer's, ``code`` the short word that Convex puts beside the text.
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class FunctionError(MisuseError):
    """A Convex function refused the call; the text is what the caller gets to read."""


class ConvexError(FunctionError):
    """An application error: ``data`` reaches the caller as ``ConvexError.data``."""

    def __init__(self, data: ConvexValue) -> None:
        super().__init__(f"Uncaught ConvexError: {data!r}")
        self.data = data


class WorldError(DevcloudError):
    """The world failed: the call was right and may succeed another time."""


class PortBusyError(WorldError):
    """Somebody else listens on the port."""


class DataFileError(WorldError):
    """The file with the deployment's data cannot be used; the text names it."""


class MissingPartError(WorldError):
    """A program or library of the system is missing; the text names the package that brings it."""


class RecognitionError(WorldError):
    """The recogniser ended, or did not answer in time."""


class SpeechError(WorldError):
    """The synthesiser ended badly, or did not answer in time."""
