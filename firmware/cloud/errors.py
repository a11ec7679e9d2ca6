"""What can go wrong with the cloud.

CloudError
├── CloudMisuseError              we were misused: a bug in the caller, whatever the world does
│   └── ClosedError                   a call after `close`
└── CloudFaultError               the world failed, or somebody handed us something unusable
    ├── SettingError                  a setting cannot be; `key` names it
    │   └── AddressError                  the cloud's address cannot be used
    ├── BacklogError                  too many calls are waiting already
    ├── SecretUnavailableError        the device's secret cannot be had
    ├── SpeechUnavailableError        stored speech cannot be read from the card
    ├── NetworkError                  the cloud was not reached, or fell silent
    │   └── DeadlineError                 a call took longer than it may
    ├── ServerError                   the cloud answered that it cannot; `status`
    │   └── UploadExpiredError            an address for an upload is not taken any more
    ├── UploadRefusedError            the cloud will never take this upload
    ├── AuthenticationError           the cloud does not take the token
    ├── ApplicationError              the called function refused; `code`
    ├── MalformedError                what came from the cloud is not what was agreed
    │   └── ConfigurationError            a toy's configuration; `key` names what is wrong in it
    └── CacheError                    the cached configuration cannot be read or written

No text here ever holds a token, a secret or words of the cloud's own: an error is logged, and the
cloud may send anything, also what it was sent.
"""

from __future__ import annotations


class CloudError(Exception):
    """Root of everything raised by this package."""


class CloudMisuseError(CloudError):
    """The caller broke a contract that the message states."""


class ClosedError(CloudMisuseError):
    """Something was asked of a part that is closed."""


class CloudFaultError(CloudError):
    """The world failed; the message says how."""


class SettingError(CloudFaultError):
    """A setting of the cloud cannot be.

    Attributes:
        key: The setting's name.
    """

    def __init__(self, key: str, problem: str) -> None:
        """Compose the one line that a person reads: the setting first, then what is the matter."""
        super().__init__(f"{key}: {problem}")
        self.key = key


class AddressError(SettingError):
    """The cloud's address is missing, or is not one that may be called."""


class BacklogError(CloudFaultError):
    """Too many calls are waiting for a thread; try again later."""


class SecretUnavailableError(CloudFaultError):
    """The device's secret cannot be had, so nothing can be proved to the cloud."""


class SpeechUnavailableError(CloudFaultError):
    """Stored speech cannot be read from the card, or there is no key to open it; try later."""


class NetworkError(CloudFaultError):
    """The cloud was not reached, or what it sent broke off."""


class DeadlineError(NetworkError):
    """A call took longer than it may. It may still be carried out by the cloud."""


class ServerError(CloudFaultError):
    """The cloud answered, but not with a result.

    Attributes:
        status: The HTTP status (RFC 9110).
    """

    def __init__(self, status: int) -> None:
        """Compose the line from the status alone."""
        super().__init__(f"the cloud answered with HTTP status {status}")
        self.status = status


class UploadExpiredError(ServerError):
    """An address for an upload is not taken, or not any more: ask for another."""


class UploadRefusedError(CloudFaultError):
    """The cloud will not take this upload, however often it is sent: set it aside."""


class AuthenticationError(CloudFaultError):
    """The cloud does not take the token: obtain a new one."""


class ApplicationError(CloudFaultError):
    """The function that was called refused.

    Attributes:
        code: Its word for why, such as ``BAD_SECRET``; empty where it gave none.
    """

    def __init__(self, code: str) -> None:
        """Compose the line from the code alone."""
        super().__init__(f"the cloud's function refused: {code or 'it gave no code'}")
        self.code = code


class MalformedError(CloudFaultError):
    """What came from the cloud is not what was agreed."""


class ConfigurationError(MalformedError):
    """A toy's configuration cannot be used.

    Attributes:
        key: What is wrong in it, dotted where it lies deeper: ``consent.listen``.
    """

    def __init__(self, key: str, wanted: str) -> None:
        """Compose the line from the key and from what should stand there."""
        super().__init__(f"configuration: {key} must be {wanted}")
        self.key = key


class CacheError(CloudFaultError):
    """The cached configuration cannot be read or written."""
