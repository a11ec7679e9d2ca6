"""The one HTTP session with the cloud, and the official client on top of it."""

from __future__ import annotations

import importlib.util
import threading
import time
from typing import TYPE_CHECKING, Any, Final, Literal

from firmware import bounded_json
from firmware.cloud.errors import (
    ApplicationError,
    AuthenticationError,
    CloudFaultError,
    DeadlineError,
    MalformedError,
    NetworkError,
    ServerError,
    UploadExpiredError,
    UploadRefusedError,
)
from firmware.cloud.settings import CloudSettings, checked_address
from firmware.cloud.values import (
    ANSWER_BYTES_MAX,
    ANSWER_LIMITS,
    TOKEN_REFUSALS,
    plain,
    refusal_code,
)
from firmware.errors import JsonError
from firmware.tls import checked_pins, client_context

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import ModuleType

Kind = Literal["query", "mutation"]

_PIECE_BYTES: Final = 65_536
_STATUS_OK: Final = 200
_STATUS_UNAUTHENTICATED: Final = frozenset({401, 403})
_STATUS_SUCCESS: Final = range(200, 300)
_STATUS_NEVER: Final = frozenset({411, 413, 415, 422})
_STATUS_LATER: Final = frozenset({408, 425, 429})
_STATUS_ELSEWHERE: Final = frozenset(range(400, 500)) - _STATUS_NEVER - _STATUS_LATER
"""Not only 403, 404 and 410: some file storages say 400 where an address has expired."""
_UPLOAD_PIECE_BYTES: Final = 4_096
"""Must leave within the connection timeout: with 3 s, at 11 kbit/s or more."""


class Session:
    """Calls Convex functions through the official HTTP client, on one connection pool.

    The official client posts through its module's ``requests``, and so without any timeout. Here
    that module is loaded a second time, under no name that anybody else could import, and is given
    an object with the same ``post`` that has timeouts and limits: the code that speaks Convex is
    theirs, the way it reaches the network is ours, and nothing is changed for others.

    All of it is imported by the first call, on the thread that makes it: it costs a quarter of a
    second on a desk, and a toy has better things to do while it starts. This is the only place that
    brings ``requests`` or ``convex`` into the firmware's own process.

    Raises:
        AddressError: The settings' address cannot be used.
    """

    def __init__(self, settings: CloudSettings) -> None:
        self._address = checked_address(settings.url)
        self._settings = settings
        self._lock = threading.Lock()
        self._official: ModuleType | None = None

    def call(
        self, kind: Kind, function: str, arguments: Mapping[str, object], token: str | None
    ) -> object:
        """Call a function for the holder of `token`, or for nobody, and return its plain value.

        It blocks, up to the settings' timeouts: call it on a worker's thread, or on several.

        Raises:
            CloudFaultError: There is no value; the class says why. Nothing of the arguments, of the
                token or of the cloud's words is in it, nor in any exception that it refers to.
        """
        official = self._loaded()
        failure: CloudFaultError
        try:
            client = official.ConvexHttpClient(self._address)
            if token is not None:
                client.set_auth(token)
            ask = client.query if kind == "query" else client.mutation
            return plain(ask(function, dict(arguments)))
        except CloudFaultError as error:
            failure = error
        except official.ConvexError as error:
            failure = _refusal(error.data)
        except official.ConvexExecutionError:
            failure = ApplicationError("")
        except Exception as error:  # noqa: BLE001 - whatever their code raises over a strange answer
            failure = MalformedError(f"the cloud's answer cannot be read ({type(error).__name__})")
        # Outside the handlers, so that the client's exception does not hang on ours.
        raise failure

    def upload(self, url: str, body: bytes, content_type: str, device_id: str) -> object:
        """Post a file to an address that the cloud gave for it, and return the parsed answer.

        The answer is any JSON; None where it is none. It blocks, up to the settings' timeouts: call
        it on a worker's thread. The address is its own permission: no token goes there.
        Redirections are not followed.

        Args:
            url: Where to; checked by the caller (`firmware.cloud.uploads`).
            body: The file.
            content_type: What it is, as ``audio/opus``.
            device_id: Whom the request says it is from.

        Raises:
            UploadExpiredError: The address is not taken, or not any more.
            UploadRefusedError: The cloud will not have this file, however often it is sent.
            ServerError: The cloud answered that it cannot.
            NetworkError: The cloud was not reached, or fell silent.
            MalformedError: The answer is too long.
        """
        transport: _Transport = vars(self._loaded())["requests"]
        headers = {"Content-Type": content_type, "User-Agent": f"PommaiDevice/{device_id}"}
        return transport.upload(url, body, headers)

    def close(self) -> None:
        """Close the connections that no call is using."""
        # Without the lock: the first call may hold it for as long as the imports take.
        official = self._official
        if official is not None:
            vars(official)["requests"].close()

    def _loaded(self) -> ModuleType:
        """Return the official client, loaded by the first call that can.

        Raises NetworkError when the authorities to trust cannot be read; they may be another time.
        """
        with self._lock:
            if self._official is None:
                try:
                    transport = _Transport(self._settings)
                except OSError as error:
                    raise NetworkError(
                        f"ca_file {self._settings.ca_file}: cannot be used: {error.strerror}"
                    ) from None
                self._official = _load_official(transport)
            return self._official


def _refusal(data: object) -> CloudFaultError:
    code = refusal_code(data)
    if code in TOKEN_REFUSALS:
        return AuthenticationError(f"the cloud's function does not take the token: {code}")
    return ApplicationError(code)


def _load_official(transport: _Transport) -> ModuleType:
    """Load the official client's module once more, with `transport` in place of ``requests``."""
    spec = importlib.util.find_spec("convex.http_client")
    assert spec is not None  # noqa: S101 - a dependency, and pinned
    assert spec.loader is not None  # noqa: S101 - it is a file
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    vars(module)["requests"] = transport
    return module


class _Transport:
    """What the official client needs of ``requests``: ``post``, with timeouts and limits.

    An answer gets through to the client only if its status is 200 and its body has the agreed form;
    anything else is raised here, past the client, which would lose the status or quote the body.
    """

    def __init__(self, settings: CloudSettings) -> None:
        # By the first call: see Session.
        from http.cookiejar import DefaultCookiePolicy  # noqa: PLC0415

        import requests  # noqa: PLC0415

        from firmware.cloud.adapter import TlsAdapter  # noqa: PLC0415

        self._timeouts_s = (settings.connect_timeout_ms / 1000, settings.read_timeout_ms / 1000)
        self._total_s = settings.call_deadline_ms / 1000
        self._upload_s = settings.upload_deadline_ms / 1000
        self._session = requests.Session()
        # No proxies, and no .netrc, whose entries would replace the token.
        self._session.trust_env = False
        if settings.url.lower().startswith("https:"):
            context = client_context(settings.ca_file, checked_pins(settings.pins))
            self._session.mount("https://", TlsAdapter(context))
        else:
            # A cloud on this machine, in the clear, keeps its files here too.
            del self._session.adapters["https://"]
        # Nothing is compressed, so a small answer cannot turn into a large one.
        self._session.headers["Accept-Encoding"] = "identity"
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))

    def post(self, url: str, *, json: object, headers: Mapping[str, str]) -> _Answer:
        """Post as ``requests.post`` would.

        Raises:
            CloudFaultError: There is no answer, or none that the client could read.
        """
        deadline_s = time.monotonic() + self._total_s  # a socket knows no other time
        return _Answer(
            self._posted("the cloud", url, deadline_s, _check_status, json=json, headers=headers)
        )

    def upload(self, url: str, body: bytes, headers: Mapping[str, str]) -> object:
        """Post a body as it is, and return the parsed answer; see `Session.upload`."""
        deadline_s = time.monotonic() + self._upload_s
        return _parsed_json(
            self._posted(
                "the cloud's store",
                url,
                deadline_s,
                _check_upload_status,
                data=_Body(body, deadline_s),
                headers=headers,
            )
        )

    def _posted(
        self,
        whom: str,
        url: str,
        deadline_s: float,
        check_status: Callable[[int], None],
        **request: Any,  # noqa: ANN401 - as `requests` takes them
    ) -> str:
        """Post, and return the body of an answer whose status `check_status` lets pass."""
        failure: CloudFaultError
        try:
            with self._session.post(
                url,
                timeout=self._timeouts_s,
                allow_redirects=False,  # what is secret goes to this address or nowhere
                stream=True,
                **request,
            ) as response:
                check_status(response.status_code)
                return _read(response.raw, deadline_s)
        except CloudFaultError as error:
            failure = error
        except Exception as error:  # noqa: BLE001 - whatever the network and its libraries raise
            failure = NetworkError(f"{whom} cannot be reached ({type(error).__name__})")
        # Outside the handlers, so that theirs, which holds request and address, does not hang on
        # ours.
        raise failure

    def close(self) -> None:
        """Close the connections that are not in use."""
        self._session.close()


class _Body:
    """A body that is sent piece by piece, up to a deadline.

    A socket that was given a timeout applies it to a whole ``sendall``: a body in one piece would
    have to leave within it, which on a slow network it does not.
    """

    def __init__(self, content: bytes, deadline_s: float) -> None:
        self._content = content
        self._deadline_s = deadline_s
        self._at = 0

    def __len__(self) -> int:
        """Return the whole length, for ``Content-Length``."""
        return len(self._content)

    def __iter__(self) -> Iterator[bytes]:
        """Yield what is left. To ``requests``, what can be iterated is a stream and is not held."""
        while piece := self.read():
            yield piece

    def read(self, _: int = -1) -> bytes:
        """Return the next piece, or nothing at the end.

        Raises:
            DeadlineError: It takes too long already.
        """
        if time.monotonic() > self._deadline_s:
            raise DeadlineError("the upload took too long")
        piece = self._content[self._at : self._at + _UPLOAD_PIECE_BYTES]
        self._at += len(piece)
        return piece


class _Answer:
    """What the official client needs of a response of status 200 whose body has the agreed form."""

    headers: Final[Mapping[str, str]] = {}
    """None: the client would print what a deprecation header says."""

    def __init__(self, body: str) -> None:
        self._json = _parsed(body)

    def json(self) -> dict[str, Any]:
        """Return the parsed body."""
        return self._json

    def raise_for_status(self) -> None:
        """Do nothing: the status is 200."""


def _check_status(status: int) -> None:
    if status in _STATUS_UNAUTHENTICATED:
        raise AuthenticationError(f"the cloud does not take the token (HTTP status {status})")
    if status != _STATUS_OK:
        raise ServerError(status)


def _check_upload_status(status: int) -> None:
    if status in _STATUS_SUCCESS:
        return
    if status in _STATUS_ELSEWHERE:
        raise UploadExpiredError(status)
    if status in _STATUS_NEVER:
        raise UploadRefusedError(f"the cloud refuses the upload (HTTP status {status})")
    raise ServerError(status)


def _read(raw: Any, deadline_s: float) -> str:  # noqa: ANN401 - urllib3's response, untyped in requests
    """Read a text within its limits. The read timeout bounds each wait, the deadline their sum."""
    body = bytearray()
    while piece := raw.read1(_PIECE_BYTES):
        body += piece
        if len(body) > ANSWER_BYTES_MAX:
            raise MalformedError(f"the cloud's answer is longer than {ANSWER_BYTES_MAX} bytes")
        if time.monotonic() > deadline_s:
            raise DeadlineError("the cloud's answer took too long to arrive")
    try:
        return bounded_json.decode(body, ANSWER_LIMITS)
    except JsonError:
        return ""  # which is no JSON either


def _parsed_json(body: str) -> Any:  # noqa: ANN401 - any JSON
    """Return what a body says, or None where it is no JSON that is read."""
    try:
        # Numbers are floats in Convex; its client reads no others.
        return bounded_json.parse(body, ANSWER_LIMITS, bounded_json.WHOLE_AS_FLOATS)
    except JsonError:
        return None


def _parsed(body: str) -> dict[str, Any]:
    answer = _parsed_json(body)
    match answer:
        case {"status": "success", "value": _} | {"status": "error", "errorMessage": str()}:
            return dict(answer)
    raise MalformedError("the cloud's answer is not that of a Convex function")
