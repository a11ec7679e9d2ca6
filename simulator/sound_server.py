"""A sound card for a desk without one: a private PulseAudio whose devices are files' worth of air.

Two null sinks are the room. What is played into ``mic`` is what the toy's microphone hears
(``mic.monitor``); what the toy plays into ``spk`` is recorded from ``spk.monitor``. They keep real
time, exactly. With ``norewinds=1`` a stream begins within 40 ms; without it in two seconds.

A program sees them through ALSA's pulse plugin, as devices named `MICROPHONE`, `SPEAKER` and
``default``, when it is started with `SoundServer.environment`.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, Self

from hardware import pcm
from simulator.errors import SoundServerError, SoundServerMissingError
from simulator.sound_recording import SoundRecording
from simulator.tether import TETHER

Device = Literal["microphone", "speaker"]

MICROPHONE: Final = "roommic"
SPEAKER: Final = "roomspk"
"""What the devices are called in ALSA, and so in PortAudio."""
PROGRAMS: Final = ("pulseaudio", "pactl", "pacat", "parec")
READY_TIMEOUT_S: Final = 20.0
READY_CHECK_S: Final = 0.02
STOP_TIMEOUT_S: Final = 5.0
COMMAND_TIMEOUT_S: Final = 10.0
RECORD_LATENCY_MS: Final = 10
"""What pieces sound is recorded in."""
SAY_LATENCY_MS: Final = 200
"""How much of what is said waits in the server: on a busy machine a gap would change the words."""
LOG_BYTES_MAX: Final = 4_096
"""How much of the server's log is looked at for what it died of."""

_SINKS: Final[Mapping[Device, str]] = {"microphone": "mic", "speaker": "spk"}

_DEFAULT_PA: Final = """\
load-module module-native-protocol-unix auth-anonymous=1 socket={folder}/native
load-module module-null-sink sink_name=nowhere norewinds=1
set-default-sink nowhere
set-default-source nowhere.monitor
"""
# A stream ends with its device, as with a card that is pulled out. The server would rather move it:
# to the next device with "rescue-streams", to the next default where it was on the default. So the
# server's default is a third device, and its clients' defaults are the room's.
_DAEMON_CONF: Final = """\
rescue-streams = no
default-sample-rate = 48000
"""
# ALSA's default device is the client's default, by whatever of Debian's files that goes: those come
# behind the one below, and win.
_CLIENT_CONF: Final = """\
autospawn = no
enable-shm = no
default-sink = spk
default-source = mic.monitor
"""
_ASOUND_CONF: Final = f"""\
</usr/share/alsa/alsa.conf>
pcm.{MICROPHONE} {{ type pulse device "mic.monitor" hint {{ show on description "{MICROPHONE}" }} }}
pcm.{SPEAKER} {{ type pulse device "spk" hint {{ show on description "{SPEAKER}" }} }}
pcm.!default {{ type pulse hint {{ show on description "the room's devices" }} }}
ctl.!default {{ type pulse }}
"""


class SoundServer:
    """``async with SoundServer() as sound``: a server with both devices, ended at the end.

    Needs a loop of real time. Everything it writes is in a folder of its own, which only this user
    can read, and which is removed at the end.

    Attributes:
        folder: That folder.
        environment: What a program needs in its environment, on top of the rest, to find this
            server and no other.

    Args:
        microphone_hz: The rate at which the microphone works; the server converts.
        speaker_hz: Likewise the speaker.

    Raises:
        SoundServerMissingError: PulseAudio is not installed; the message says what to install.
        SoundServerError: It does not start, or does not do what it is told.
    """

    def __init__(
        self, *, microphone_hz: int = pcm.SAMPLE_RATE_HZ, speaker_hz: int = pcm.SAMPLE_RATE_HZ
    ) -> None:
        self.folder = Path()
        self.environment: dict[str, str] = {}
        self._rates: Mapping[Device, int] = {"microphone": microphone_hz, "speaker": speaker_hz}
        self._stack = AsyncExitStack()
        self._process: asyncio.subprocess.Process | None = None
        self._modules: dict[str, str] = {}

    async def __aenter__(self) -> Self:
        if missing := [name for name in PROGRAMS if shutil.which(name) is None]:
            raise SoundServerMissingError(
                f"{', '.join(missing)} not found: apt install pulseaudio pulseaudio-utils"
                " libasound2-plugins"
            )
        async with AsyncExitStack() as stack:
            self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sound-")))
            self._write_configuration()
            stack.push_async_callback(self.kill)
            await self.start()
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    async def start(self) -> None:
        """Start the server after `kill`, with both devices. Raises SoundServerError."""
        if self._process is not None:
            raise SoundServerError("the sound server runs already: kill it first")
        folder = self.folder
        here = ("-n", f"-F{folder}/default.pa", f"--log-target=file:{folder}/log")
        alone = ("--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no", "--disable-shm=1")
        modest = ("--realtime=no", "--high-priority=no")
        self._process = await self._spawn("pulseaudio", *here, *alone, *modest)
        try:
            async with asyncio.timeout(READY_TIMEOUT_S):
                await self._ready(self._process)
        except TimeoutError:
            raise SoundServerError(
                f"the sound server was not ready after {READY_TIMEOUT_S:.0f} s{self._last_words()}"
            ) from None
        for device in _SINKS:
            await self.restore(device)

    async def kill(self) -> None:
        """End the server, as a crash would: whoever was connected is cut off. Harmless twice."""
        process, self._process = self._process, None
        self._modules.clear()
        if process is None:
            return
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        (self.folder / "native").unlink(missing_ok=True)

    async def remove(self, device: Device) -> None:
        """Pull a device out: its streams end, and so does the echo.

        Raises SoundServerError when it is out already.
        """
        await self._unload(device)
        self._modules.pop("echo", None)

    async def restore(self, device: Device) -> None:
        """Put a device back. Raises SoundServerError when it is there already."""
        sink, rate_hz = _SINKS[device], self._rates[device]
        form = ("norewinds=1", f"rate={rate_hz}", "channels=1", "format=s16le")
        await self._load(device, "module-null-sink", f"sink_name={sink}", *form)

    async def mend(self) -> None:
        """Bring it to how it was at first: running, with both devices, without echo."""
        if self._process is None:
            await self.start()
        for device in _SINKS:
            if device not in self._modules:
                await self.restore(device)
        if "echo" in self._modules:
            await self.echo(on=False)

    async def echo(self, *, on: bool, gain_db: float = -12.0, delay_ms: int = 40) -> None:
        """Let the microphone hear the speaker, as in a room, or no more.

        Args:
            on: Whether it hears it.
            gain_db: How much louder (quieter if negative) than it is played.
            delay_ms: How much later, about; the server adds what its buffers need.

        Raises SoundServerError when that is so already.
        """
        if not on:
            await self._unload("echo")
            return
        way = ("source=spk.monitor", "sink=mic", f"latency_msec={delay_ms}", "adjust_time=0")
        await self._load("echo", "module-loopback", *way, "source_dont_move=1", "sink_dont_move=1")
        listed = await self._control("list", "short", "sink-inputs")
        mine = [line.split("\t")[0] for line in listed.splitlines() if "module-loopback.c" in line]
        await self._control("set-sink-input-volume", mine[-1], f"{gain_db}dB")

    async def say(self, samples: bytes, rate_hz: int = pcm.SAMPLE_RATE_HZ) -> None:
        """Say something into the microphone, in real time, and return when all of it was heard.

        Said by several at once, it is heard together. When exactly is told by a recording of the
        microphone.

        Args:
            samples: One channel of 16-bit samples.
            rate_hz: Of the samples.

        Raises SoundServerError when there is no such device, or it goes away meanwhile.
        """
        form = _form(rate_hz, SAY_LATENCY_MS)
        saying = await self._spawn("pacat", "--playback", "--device=mic", *form, is_piped=True)
        try:
            _, said = await saying.communicate(samples)
        except BaseException:
            with suppress(ProcessLookupError):
                saying.kill()
            await saying.wait()
            raise
        if saying.returncode:
            raise SoundServerError(f"nothing can be said: {_line(said)}")

    @asynccontextmanager
    async def record(self, device: Device = "speaker") -> AsyncIterator[SoundRecording]:
        """Record what a device plays; begun when it is entered.

        ``record("microphone")`` is what the toy hears. Raises SoundServerError when there is no
        such device.
        """
        source = f"--device={_SINKS[device]}.monitor"
        form = _form(pcm.SAMPLE_RATE_HZ, RECORD_LATENCY_MS)
        recording = SoundRecording(await self._spawn("parec", source, *form, is_piped=True))
        try:
            yield await recording.begun()
        finally:
            await recording.close()

    async def _load(self, name: str, module: str, *arguments: str) -> None:
        if name in self._modules:
            raise SoundServerError(f"{name} is there already")
        self._modules[name] = await self._control("load-module", module, *arguments)

    async def _unload(self, name: str) -> None:
        if name not in self._modules:
            raise SoundServerError(f"{name} is not there")
        await self._control("unload-module", self._modules.pop(name))

    async def _control(self, *words: str) -> str:
        """Have the server do something, and return its answer, without the end of its line."""
        process = await self._spawn("pactl", *words, is_piped=True)
        try:
            async with asyncio.timeout(COMMAND_TIMEOUT_S):
                answer, said = await process.communicate()
        except BaseException:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            raise
        if process.returncode:
            raise SoundServerError(f"pactl {words[0]}: {_line(said)}")
        return answer.decode().strip()

    async def _spawn(
        self, program: str, *arguments: str, is_piped: bool = False
    ) -> asyncio.subprocess.Process:
        stream = subprocess.PIPE if is_piped else subprocess.DEVNULL
        return await asyncio.create_subprocess_exec(
            *TETHER,
            program,
            *arguments,
            stdin=stream,
            stdout=stream,
            stderr=stream,
            env={**os.environ, **self.environment},
        )

    async def _ready(self, process: asyncio.subprocess.Process) -> None:
        while not (self.folder / "native").is_socket():
            if process.returncode is not None:
                raise SoundServerError(f"the sound server ended at once{self._last_words()}")
            await asyncio.sleep(READY_CHECK_S)

    def _last_words(self) -> str:
        with suppress(OSError):
            if words := (self.folder / "log").read_bytes()[-LOG_BYTES_MAX:]:
                return f": {_line(words)}"
        return ""

    def _write_configuration(self) -> None:
        folder = self.folder
        (folder / "default.pa").write_text(_DEFAULT_PA.format(folder=folder))
        (folder / "daemon.conf").write_text(_DAEMON_CONF)
        (folder / "client.conf").write_text(_CLIENT_CONF)
        (folder / "asound.conf").write_text(_ASOUND_CONF)
        self.environment = {
            "ALSA_CONFIG_PATH": f"{folder}/asound.conf",
            "JACK_NO_AUDIO_RESERVATION": "1",
            "JACK_NO_START_SERVER": "1",
            "PULSE_CLIENTCONFIG": f"{folder}/client.conf",
            "PULSE_CONFIG": f"{folder}/daemon.conf",
            "PULSE_COOKIE": f"{folder}/cookie",
            "PULSE_RUNTIME_PATH": f"{folder}/run",
            "PULSE_SERVER": f"unix:{folder}/native",
            "PULSE_STATE_PATH": f"{folder}/state",
            "XDG_RUNTIME_DIR": f"{folder}",
        }


def _form(rate_hz: int, latency_ms: int) -> tuple[str, ...]:
    form = ("--raw", "--format=s16le", "--channels=1", f"--rate={rate_hz}")
    return (*form, f"--latency-msec={latency_ms}", f"--process-time-msec={latency_ms // 2}")


def _line(said: bytes) -> str:
    lines = said.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it did not say why"
