"""The development cloud as a whole: Convex functions, stream and control, on one port."""

from __future__ import annotations

import errno
from contextlib import AsyncExitStack
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
from devcloud.http_api import HttpApi
from devcloud.keys_api import KeysApi
from devcloud.late_audio import LateAudio
from devcloud.recognition import Recogniser
from devcloud.settings import HOST, Settings
from devcloud.sockets import Sockets
from devcloud.speech import Speaker
from devcloud.stream_control import StreamControl
from devcloud.stream_options import StreamOptions, StreamOptionsBoard
from devcloud.sync_socket import SyncSockets
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
        self.recogniser = Recogniser()
        self._running = AsyncExitStack()
        self._authority = ""

    @property
    def convex_url(self) -> str:
        """Where the Convex clients connect."""
        return f"http://{self._authority}"

    @property
    def stream_url(self) -> str:
        """Where the audio stream connects."""
        return f"ws://{self._authority}{gateway.PATH}"

    @property
    def control_url(self) -> str:
        """Where the control API is; see ``devcloud.control``."""
        return f"http://{self._authority}{PREFIX}"

    async def __aenter__(self) -> Self:
        opus.load()
        speaker = Speaker()
        async with AsyncExitStack() as started:
            # Closed after the connections, for an utterance would start it again.
            started.push_async_callback(self.recogniser.close)
            started.callback(self.deployment.close)
            runner = web.AppRunner(
                self._application(speaker), access_log=None, shutdown_timeout=SHUTDOWN_TIMEOUT_S
            )
            await runner.setup()
            started.push_async_callback(runner.cleanup)
            try:
                await web.TCPSite(runner, HOST, self.settings.port).start()
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    raise PortBusyError(f"port {self.settings.port} is in use") from error
                raise
            # Last: it keeps a core busy for a second, which nobody has to wait for.
            await self.recogniser.start()
            host, port = runner.addresses[0]
            self._authority = f"{host}:{port}"
            self.deployment.url = self.convex_url
            self._running = started.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._running.aclose()

    def _application(self, speaker: Speaker) -> web.Application:
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
        )
        self.gateway = Gateway(services)
        stream_control = StreamControl(self.gateway, self.stream_options, self.late_audio)
        control = ControlApi(self.deployment, self.faults, self.turns, self.calls, self.counters)
        data_control = DataControl(self.deployment, tokens)
        application = web.Application(
            middlewares=[refuse_strangers, http_disruption(self.faults)],
            client_max_size=BODY_BYTES_MAX,
        )
        application.add_routes(HttpApi(functions, tokens).routes())
        application.add_routes(UploadApi(self.deployment).routes())
        application.add_routes(KeysApi(tokens).routes())
        application.add_routes(
            SyncSockets(self.deployment, functions, tokens, sockets, self.faults).routes()
        )
        application.add_routes(self.gateway.routes())
        application.add_routes(
            [*control.routes(), *data_control.routes(), *stream_control.routes()]
        )
        application.on_shutdown.append(sockets.close_all)
        return application
