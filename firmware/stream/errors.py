"""What can go wrong with the audio stream.

StreamError
├── MisuseError             we were misused: a bug in the caller, whatever the world does
│   └── PacketError             not a packet that can be sent
└── FaultError              the world failed, or somebody handed us something unusable
    ├── SettingError            a setting cannot be; `key` names it
    │   └── AddressError            the gateway's address cannot be used; `url` is it
    ├── CredentialError         a token or an id cannot be put into a request
    ├── MessageError            a message cannot be used; it never leaves the codec
    └── SoundError              a reply's samples cannot be played; it never leaves the stream

A connection that fails or ends raises nothing: that is an event like any other. No text here ever
holds a token or words of the gateway's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from firmware.stream.messages import DropReason


class StreamError(Exception):
    """Root of everything raised by this package."""


class MisuseError(StreamError):
    """The caller broke a contract that the message states."""


class PacketError(MisuseError):
    """A packet is empty, or longer than an Opus packet can be."""


class FaultError(StreamError):
    """The world failed; the message says what to do about it."""


class SettingError(FaultError):
    """A setting of the stream cannot be.

    Attributes:
        key: The setting's name.
    """

    def __init__(self, key: str, problem: str) -> None:
        """Compose the one line that a person reads: the setting first, then what is the matter."""
        super().__init__(f"stream.{key} {problem}")
        self.key = key


class AddressError(SettingError):
    """The gateway's address is missing, or would send a child's voice in the clear.

    Attributes:
        url: The address, as it was given; empty where it holds a password.
    """

    def __init__(self, url: str, problem: str) -> None:
        """Compose the line from the address and what is the matter with it."""
        super().__init__("url", f"{url!r} {problem}" if url else problem)
        self.url = url


class CredentialError(FaultError):
    """A token or an id cannot be put into a request; the message names which, never its value."""


class MessageError(FaultError):
    """A message from the gateway cannot be used.

    Attributes:
        reason: Why.
        field: The name of the field that is at fault, if it is one.
    """

    def __init__(self, reason: DropReason, field: str = "") -> None:
        """Compose the line from the reason and the field."""
        super().__init__(f"{reason}: {field}" if field else str(reason))
        self.reason = reason
        self.field = field


class SoundError(FaultError):
    """A piece of a reply is no sound that can be played."""
