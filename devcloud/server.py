"""The development cloud as a whole: Convex functions, stream and control."""

from __future__ import annotations

import errno
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final, Self

from aiohttp import web

from devcloud import gateway, opus
from devcloud.calls import CallLog
from devcloud.connection import Services
from devcloud.control import PREFIX, ControlApi, refuse_strangers
from devcloud.counters import Counters
from devcloud.data_control import DataControl
from devcloud.deployment import seeded
from devcloud.disruption import http_disruption
from devcloud.errors import PortBusyError
from devcloud.faults import FaultBoard
from devcloud.functions import Functions
from devcloud.gateway import Gateway
from devcloud.heard import HeardLog
from devcloud.http_api import HttpApi
from devcloud.keys_api import KeysApi
from devcloud.late_audio import LateAudio
from devcloud.recognition import Recogniser
from devcloud.relay import Relay
from devcloud.settings import HOST, Settings
from devcloud.sockets import Sockets
from devcloud.speech import Speaker
from devcloud.spoken import SpokenLog
from devcloud.stream_control import StreamControl
from devcloud.stream_options import StreamOptions, StreamOptionsBoard
from devcloud.sync_socket import SyncSockets
from devcloud.tls import Authority, Leaf
from devcloud.tokens import Tokens
from devcloud.turns import TurnLog
from devcloud.upload_api import UploadApi

if TYPE_CHECKING:
    from types import TracebackType

BODY_BYTES_MAX: Final = 1 << 20
SHUTDOWN_TIMEOUT_S: Final = 0.5
"""What is still being answered gets so long to end by itself."""


class DevelopmentCloud:
    """A development cloud, running while its context lasts.

    ::

        async with DevelopmentCloud(Settings(port=0)) as cloud:
            client = ConvexHttpClient(cloud.convex_url)

    The first utterance waits for the recogniser's model, about a second; ``recogniser.ready`` waits
    for it beforehand. ``deployment``, ``faults``, ``turns``, ``calls`` and ``counters`` are what
    the control API shows, for those who are in the same process.

    Raises, on entering:
        SettingsError: the authority's folder cannot be used.
        PortBusyError: somebody else listens on the port.
        MissingPartError: espeak-ng or libopus is not installed.
        RecognitionError: the recogniser's process cannot be started.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        seed = self.settings
        self.deployment = seeded(seed.device_id, seed.device_secret, seed.toy_id, seed.data)
        self.deployment.uploads.url_lifetime_s = seed.upload_lifetime_s
        self.faults = FaultBoard()
        self.turns = TurnLog()
        self.calls = CallLog()
        self.counters = Counters()
        self.tokens = Tokens(
            algorithm=seed.signing_algorithm, faults=self.faults, counters=self.counters
        )
        self.stream_options = StreamOptionsBoard(StreamOptions(binary=seed.binary))
        self.late_audio = LateAudio()
        self.spoken = SpokenLog()
        self.heard = HeardLog()
        self.recogniser = Recogniser()
        self.ca_file: Path | None = None
        self._leaf: Leaf | None = None
        self._running = AsyncExitStack()
        self._authority = self._control_authority = ""

    @property
    def convex_url(self) -> str:
        """Where the Convex clients connect."""
        return f"http{self._s}://{self._authority}"

    @property
    def stream_url(self) -> str:
        """Where the audio stream connects."""
        return f"ws{self._s}://{self._authority}{gateway.PATH}"

    @property
    def spki_pin(self) -> str | None:
        """The pin of the certificate, with TLS; ``ca_file`` is the authority to trust."""
        return self._leaf.spki_pin if self._leaf else None

    @property
    def control_url(self) -> str:
        """Where the control API is whatever the network's faults; see ``devcloud.control``.

        On a port of its own and without TLS. It is under the same path where the functions are.
        """
        return f"http://{self._control_authority}{PREFIX}"

    @property
    def _s(self) -> str:
        return "s" if self.settings.tls else ""

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as started:
            started.callback(self.deployment.close)
            if self.settings.tls:
                self._certify(started)
            opus.load()
            speaker = Speaker()
            # Closed after the connections, for an utterance would start it again.
            started.push_async_callback(self.recogniser.close)
            application, control = self._applications(speaker)
            await self._serve(application, started)
            self.deployment.url = self.convex_url
            control_runner = _runner(control)
            await control_runner.setup()
            started.push_async_callback(control_runner.cleanup)
            await web.TCPSite(control_runner, HOST, 0).start()
            # Last: it keeps a core busy for a second, which nobody has to wait for.
            await self.recogniser.start()
            host, port = control_runner.addresses[0]
            self._control_authority = f"{host}:{port}"
            self._running = started.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._running.aclose()

    def _certify(self, started: AsyncExitStack) -> None:
        folder = self.settings.authority or Path(
            started.enter_context(TemporaryDirectory(prefix="pommai-authority-"))
        )
        authority = Authority(folder)
        self.ca_file, self._leaf = authority.ca_file, authority.issue()

    async def _serve(self, application: web.Application, started: AsyncExitStack) -> None:
        """Serve an application behind the port."""
        runner = _runner(application)
        await runner.setup()
        assert runner.server  # noqa: S101 - it is set up
        tls = self._leaf.context() if self._leaf else None
        relay = Relay(self.faults.network, runner.server, tls, Random())  # noqa: S311 - no secret
        # Closed after the connections that it carries.
        started.push_async_callback(relay.close)
        started.push_async_callback(runner.cleanup)
        try:
            port = relay.start(self.settings.port)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise PortBusyError(f"port {self.settings.port} is in use") from error
            raise
        self._authority = f"{HOST}:{port}"

    def _applications(self, speaker: Speaker) -> tuple[web.Application, web.Application]:
        """Make what is served on the port, and the control API alone."""
        tokens = self.tokens
        sockets = Sockets()
        functions = Functions(
            self.deployment, tokens, self.faults, self.calls, self.settings.token_lifetime_s
        )
        services = Services(
            self.deployment,
            tokens,
            self.faults,
            self.turns,
            self.counters,
            self.recogniser,
            speaker,
            sockets,
            self.stream_options,
            self.late_audio,
            self.spoken,
            self.heard,
        )
        self.gateway = Gateway(services)
        stream_control = StreamControl(
            self.gateway, self.stream_options, self.late_audio, self.spoken, self.heard
        )
        control = ControlApi(self.deployment, self.faults, self.turns, self.calls, self.counters)
        data_control = DataControl(self.deployment, tokens)
        application = web.Application(
            middlewares=[refuse_strangers, http_disruption(self.faults)],
            client_max_size=BODY_BYTES_MAX,
        )
        control_alone = web.Application(
            middlewares=[refuse_strangers], client_max_size=BODY_BYTES_MAX
        )
        application.add_routes(HttpApi(functions, tokens).routes())
        application.add_routes(UploadApi(self.deployment).routes())
        application.add_routes(KeysApi(tokens).routes())
        application.add_routes(
            SyncSockets(self.deployment, functions, tokens, sockets, self.faults).routes()
        )
        application.add_routes(self.gateway.routes())
        for either in (application, control_alone):
            either.add_routes([*control.routes(), *data_control.routes(), *stream_control.routes()])
        application.on_shutdown.append(sockets.close_all)
        return application, control_alone


def _runner(application: web.Application) -> web.AppRunner:
    return web.AppRunner(application, access_log=None, shutdown_timeout=SHUTDOWN_TIMEOUT_S)
