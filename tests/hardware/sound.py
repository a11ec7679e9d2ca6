"""A PortAudio without a sound card: devices that come and go, streams that die, hang or starve."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from hardware.clock import Clock
from hardware.pcm import FRAME_MS
from hardware.portaudio import Callback, PortAudio
from hardware.sound_card import SoundCard
from hardware.ticker import Ticker

HELD_MS = 40
"""What the card's buffer holds of the sound to come."""


@dataclass
class Plugged:
    """A device, as it is now."""

    name: str
    inputs: int = 0
    outputs: int = 0
    rates: tuple[int, ...] = (16_000,)
    channels: tuple[int, ...] = (1, 2)
    favourite_hz: int = 48_000
    is_gone: bool = False
    """Whether it is listed and does not work."""


class FakeStream:
    """A stream whose callbacks come on the loop, every 20 ms of its time."""

    def __init__(self, room: Room, form: tuple[int, int], callback: Callback, side: str) -> None:
        self.rate_hz, self.channels = form
        self.side = side
        self.played: list[tuple[int, bytes]] = []
        """What was given out, with the time of the callback."""
        self.flags = 0
        """What the next callback is told of."""
        self.is_hanging = False
        self.is_alive = True
        self.is_closed = False
        self.thread = ""
        self._room = room
        self._callback = callback
        self._ticker = Ticker(room.clock, FRAME_MS, self._tick, backlog_max=50)

    def _tick(self, _due_ms: int) -> None:
        self.call()

    @property
    def samples(self) -> int:
        """Samples of each channel in a buffer."""
        return self.rate_hz * FRAME_MS // 1000

    def start_stream(self) -> None:
        """Let the callbacks begin."""
        self._room.note("start", self.side)
        if self._room.cannot_start:
            raise OSError(-9999, "Unanticipated host error")
        lead_ms = FRAME_MS if self.side == "input" else 0
        first_ms = self._room.clock.monotonic_ms() + lead_ms
        self._room.loop.call_soon_threadsafe(self._ticker.start, first_ms)

    def is_active(self) -> bool:
        """Whether it lives."""
        return self.is_alive and not self.is_closed

    def close(self) -> None:
        """End it."""
        self.is_closed = True
        self._room.note("close", self.side)
        if not self.is_alive:
            raise OSError(-9988, "Stream closed")

    def die(self) -> None:
        """Stop as a stream does whose device was pulled out."""
        self.is_alive = False

    def call(self, data: bytes | None = None, *, delay_ms: int = 0) -> int:
        """Make one callback, unless it hangs or has ended; return what it said."""
        if self.is_closed or not self.is_alive or self.is_hanging:
            return -1
        now_s = self._room.clock.monotonic_ms() / 1000
        times = {
            "current_time": 1e9 + now_s,
            "input_buffer_adc_time": 1e9 + now_s - max(delay_ms, FRAME_MS) / 1000,
            "output_buffer_dac_time": 1e9 + now_s + HELD_MS / 1000,
        }
        size = self.samples * self.channels * 2
        if self.side == "input":
            data = self._room.sound(size) if data is None else data
        out, said = self._callback(data, self.samples, times, self.flags)
        self.flags = 0
        if self.side == "output":
            assert out is not None
            assert len(out) == size
            self.played.append((self._room.clock.monotonic_ms(), out))
        return said


class FakeBinding:
    """What `pyaudio.PyAudio` is to `hardware.portaudio`; it knows the devices of its beginning."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._devices = list(room.devices)
        self._streams: list[FakeStream] = []
        room.note("begin", "")

    def get_device_count(self) -> int:
        """Return how many devices there were."""
        return len(self._devices)

    def get_device_info_by_index(self, index: int, /) -> Mapping[str, Any]:
        """Describe a device."""
        device = self._devices[index]
        return {
            "index": index,
            "name": device.name,
            "maxInputChannels": device.inputs,
            "maxOutputChannels": device.outputs,
            "defaultSampleRate": float(device.favourite_hz),
        }

    def get_default_input_device_info(self) -> Mapping[str, Any]:
        """Describe the last device that is a microphone."""
        return self._default("inputs")

    def get_default_output_device_info(self) -> Mapping[str, Any]:
        """Describe the last device that is a speaker."""
        return self._default("outputs")

    def is_format_supported(self, rate: int, /, **form: int) -> bool:
        """Return True, or raise ValueError."""
        side = "input" if "input_device" in form else "output"
        self._open_device(form[f"{side}_device"], side, rate, form[f"{side}_channels"], ValueError)
        return True

    def open(self, rate: int, channels: int, form: int, /, **how: Any) -> FakeStream:  # noqa: ANN401 - as PyAudio has it
        """Open a stream that is not started."""
        assert form == 8
        assert how["start"] is False
        assert how["frames_per_buffer"] == rate * FRAME_MS // 1000
        side = "input" if how.get("input") else "output"
        self._room.note("open", side)
        self._open_device(how[f"{side}_device_index"], side, rate, channels, OSError)
        stream = FakeStream(self._room, (rate, channels), how["stream_callback"], side)
        self._streams.append(stream)
        self._room.streams.append(stream)
        return stream

    def terminate(self) -> None:
        """End it."""
        self._room.note("end", "")
        assert all(stream.is_closed for stream in self._streams)

    def _default(self, kind: str) -> Mapping[str, Any]:
        for index in reversed(range(len(self._devices))):
            if getattr(self._devices[index], kind):
                return self.get_device_info_by_index(index)
        raise OSError(f"No Default {kind} Device Available")

    def _open_device(
        self, index: int, side: str, rate: int, channels: int, error: type[Exception]
    ) -> None:
        device = self._devices[index]
        limit = device.inputs if side == "input" else device.outputs
        if device.is_gone or device not in self._room.devices:
            raise _error(error, -9985, "Device unavailable")
        if rate not in device.rates or channels not in device.channels or channels > limit:
            raise _error(error, -9997, "Invalid sample rate")


def _error(kind: type[Exception], number: int, says: str) -> Exception:
    """Return an error as PyAudio makes it, whose arguments stand in one order or the other."""
    return kind(number, says) if kind is OSError else kind(says, number)


@dataclass
class Room:
    """The world around the toy: which devices there are, and what became of them.

    Made on the running loop.
    """

    devices: list[Plugged] = field(
        default_factory=lambda: [Plugged("USB Mic", inputs=1), Plugged("USB Horn", outputs=2)]
    )
    cannot_start: bool = False
    streams: list[FakeStream] = field(default_factory=list)
    history: list[str] = field(default_factory=list)
    """What PortAudio was asked to do, in order; each by one thread that is not the loop's."""

    def __post_init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.clock = Clock()
        thread = ThreadPoolExecutor(max_workers=1)
        self.card = SoundCard(self.clock, thread, PortAudio(lambda: FakeBinding(self)))
        self._loop_thread = threading.get_ident()

    @property
    def stream(self) -> FakeStream:
        """The stream that was opened last."""
        return self.streams[-1]

    @property
    def open_sides(self) -> list[str]:
        """The streams that are open now."""
        return [stream.side for stream in self.streams if not stream.is_closed]

    def note(self, what: str, side: str) -> None:
        """Remember what was asked for."""
        assert threading.get_ident() != self._loop_thread, f"{what} {side} on the loop"
        self.history.append(f"{what} {side}".strip())

    def sound(self, size: int) -> bytes:
        """Return what is to be heard in the room: the milliseconds it is, as samples."""
        return (self.clock.monotonic_ms() % 30_000).to_bytes(2, "little") * (size // 2)

    def unplug(self, name: str) -> Plugged:
        """Take a device out; its streams die."""
        (device,) = [device for device in self.devices if device.name == name]
        self.devices.remove(device)
        side = "input" if device.inputs else "output"
        for stream in self.streams:
            if stream.side == side and not stream.is_closed:
                stream.die()
        return device
