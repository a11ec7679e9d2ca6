"""What can go wrong in the app itself; its subsystems have trees of their own.

FirmwareError
├── SettingsError         the configuration cannot be used; the message names the key
├── BoardError            the board that was asked for cannot be driven by this build
├── PinError              a setting of certificate pins cannot be read
├── WrongPinError         a server's key is none of those that are pinned
├── JsonError             a text is no JSON that is read; `fault` says why
└── StoreError            the world failed: something cannot be read or written durably
    ├── LockStoreError        the lock record
    ├── NoteError             a note: a few facts that outlive a restart
    ├── JournalFileError      the journal's file
    ├── RecordStoreError      the records that wait for the cloud
    └── AudioStoreError       stored speech
"""

from __future__ import annotations

import ssl
from typing import Literal

JsonFault = Literal["NOT_JSON", "TOO_LONG", "TOO_DEEP", "TOO_MANY_VALUES"]
"""Why a text is not read."""


class FirmwareError(Exception):
    """Root of everything raised by the app itself; its text is one line for a person."""


class SettingsError(FirmwareError):
    """The configuration cannot be used."""


class BoardError(FirmwareError):
    """The board that was asked for cannot be driven by this build."""


class PinError(FirmwareError):
    """Something that should be a certificate pin is none."""


class WrongPinError(FirmwareError, ssl.SSLCertVerificationError):
    """A server's key is none of those that are pinned. To TLS it is a bad certificate."""

    def __init__(self) -> None:
        """Compose the line; the number is OpenSSL's for any failure of its own."""
        super().__init__(1, "the server's key is none of those that are pinned")


class JsonError(FirmwareError):
    """A text is no JSON, or would cost more than it may.

    Attributes:
        fault: Why it is not read.
    """

    def __init__(self, fault: JsonFault) -> None:
        """Compose the line from the fault alone: the text may hold anything."""
        super().__init__(f"JSON that is not read: {fault}")
        self.fault = fault


class StoreError(FirmwareError):
    """Something cannot be read or written durably."""


class LockStoreError(StoreError):
    """The lock record cannot be written."""


class NoteError(StoreError):
    """A note cannot be read or written."""


class JournalFileError(StoreError):
    """The journal's file cannot be written."""


class RecordStoreError(StoreError):
    """The records that wait for the cloud cannot be read or written."""


class AudioStoreError(StoreError):
    """Speech cannot be stored, read or removed."""
