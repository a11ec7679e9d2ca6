"""PortAudio: finds microphones and speakers by name, and opens streams on them.

Everything here may block, for ever if a sound server hangs: `hardware.sound_card` gives it a thread
of its own. (PortAudio's own reference: https://portaudio.com/docs/v19-doxydocs/.)

What is peculiar about it:

- Its list of devices is made when it is initialised and never again. What was plugged in later is
  found only by ending it and beginning anew, for which every stream must be closed.
- While it looks for devices, ALSA and JACK write a hundred lines about those that are not there.
  They go to handlers, and from there to the log at level DEBUG; the handlers live as long as the
  process.
- Of every attempt with a device that is not there it writes a line itself, for which there is no
  handler: a toy without a microphone would fill its journal. So C's standard error leads nowhere,
  unless the log is at level DEBUG. Python's own is another, and stays.
- PyAudio always asks for the device's low latency. The buffer follows from the length of a period:
  three of 20 ms through PulseAudio, of which the last is heard 60 ms after it is pulled.
"""

from __future__ import annotations

import ctypes
import logging
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, NamedTuple, Protocol

from hardware.errors import SoundDeviceError, SoundLibraryError, SoundStreamError
from hardware.pcm import FRAME_MS, SAMPLE_RATE_HZ

DEFAULT: Final = "default"
"""The name that stands for whichever device the system prefers."""

DEVICES_NAMED_MAX: Final = 8
"""Devices that a message lists."""

OTHER_RATES_HZ: Final = (48_000, 44_100, 32_000, 96_000, 24_000, 22_050, 8_000)
"""Tried where a device cannot do 16 kHz; the device's favourite comes before them."""

CHANNELS_MAX: Final = 2
"""Channels that are mixed down or filled alike, where a device cannot do one."""

# portaudio.h
INT_16: Final = 8
CONTINUE: Final = 0
INPUT_OVERFLOW: Final = 2
OUTPUT_UNDERFLOW: Final = 4
FORM_ERRORS: Final = frozenset((-9997, -9998, -9994))
"""Not this rate, not so many channels, not this format: another form may do."""

Direction = Literal["microphone", "speaker"]

Callback = Callable[[bytes | None, int, Mapping[str, float], int], tuple[bytes | None, int]]
"""Called in PortAudio's thread: what was recorded, so many samples of each channel, the times, and
what was lost. Returns what is to be played, exactly as much, and `CONTINUE`. It never raises."""

_log = logging.getLogger(__name__)
_handlers: list[Any] = []


class Stream(Protocol):
    """What is used of `pyaudio.PyAudio.Stream`."""

    def start_stream(self) -> None:
        """Let the callbacks begin."""

    def is_active(self) -> bool:
        """Whether more callbacks will come: the only sign that a stream has died."""

    def close(self) -> None:
        """End it; what it has not played yet is dropped, and no callback runs any more."""


class Binding(Protocol):
    """What is used of `pyaudio.PyAudio`. Whatever fails raises OSError or ValueError."""

    def get_device_count(self) -> int:
        """Return how many devices there are."""

    def get_device_info_by_index(self, index: int, /) -> Mapping[str, Any]:
        """Describe a device."""

    def get_default_input_device_info(self) -> Mapping[str, Any]:
        """Describe the microphone that the system prefers."""

    def get_default_output_device_info(self) -> Mapping[str, Any]:
        """Describe the speaker that the system prefers."""

    def is_format_supported(self, rate: int, /, **form: int) -> bool:
        """Return True, or raise ValueError."""

    def open(self, rate: int, channels: int, format: int, /, **how: Any) -> Stream:  # noqa: A002, ANN401 - as PyAudio has it
        """Open a stream."""

    def terminate(self) -> None:
        """End the library; every stream must be closed."""


class Form(NamedTuple):
    """In which form a device gives or takes sound: samples a second, and channels."""

    rate_hz: int
    channels: int

    @property
    def is_ours(self) -> bool:
        """Whether nothing needs to be converted."""
        return self == OURS

    @property
    def frame_samples(self) -> int:
        """Samples of each channel in 20 ms."""
        return self.rate_hz * FRAME_MS // 1000


OURS: Final = Form(SAMPLE_RATE_HZ, 1)


class Device(NamedTuple):
    """A device that can do a direction: its number, its name, its favourite rate, its channels."""

    number: int
    name: str
    rate_hz: int
    channels: int


def load() -> Binding:
    """Return PyAudio, with ALSA and JACK silenced.

    Raises:
        SoundLibraryError: It is not installed, or PortAudio cannot be initialised.
    """
    _silence()
    try:
        import pyaudio  # noqa: PLC0415 - a toy with virtual sound does without

        binding: Binding = pyaudio.PyAudio()
    except ImportError as error:
        raise SoundLibraryError(
            f"PyAudio cannot be loaded ({error.name or error}): install libportaudio2, and pyaudio "
            "with the dependencies"
        ) from error
    except OSError as error:
        raise SoundLibraryError(f"PortAudio cannot be initialised ({error})") from error
    return binding


class PortAudio:
    """The library, initialised when it is first needed. It belongs to one thread at a time.

    Args:
        make: Initialises it.
    """

    def __init__(self, make: Callable[[], Binding] = load) -> None:
        self._make = make
        self._binding: Binding | None = None
        self._forms: dict[tuple[Direction, int], Form] = {}

    def find(self, direction: Direction, name: str) -> Device:
        """Return the device of that name, or whose name contains it, in capitals or not.

        Raises:
            SoundLibraryError: There is no PortAudio.
            SoundDeviceError: There is no such device; the message lists those there are.
        """
        devices = self._devices(direction)
        if not devices:
            raise SoundDeviceError(
                f"there is no {direction}: connect one, and see whether "
                f"`{'arecord' if direction == 'microphone' else 'aplay'} -l` lists it"
            )
        wanted = name.casefold()
        preferred = self._preferred(direction) if wanted == DEFAULT else None
        for device in devices:
            if device.number == preferred:
                return device
        exact = [device for device in devices if device.name.casefold() == wanted]
        partly = [device for device in devices if wanted in device.name.casefold()]
        for device in exact + partly:
            return device
        named = ", ".join(repr(device.name) for device in devices[:DEVICES_NAMED_MAX])
        raise SoundDeviceError(
            f"no {direction} is called {name!r}: there are {named}; "
            f"write (a part of) one of these as sound.{direction}, or connect it"
        )

    def form_of(self, direction: Direction, device: Device) -> Form:
        """Return the form in which a device is opened: ours if it can, else one near to it.

        Raises:
            SoundStreamError: It can do none.
        """
        known = self._forms.get((direction, device.number))
        if known is None:
            known = self._first_supported(direction, device)
            self._forms[direction, device.number] = known
        return known

    def open(self, direction: Direction, device: Device, form: Form, callback: Callback) -> Stream:
        """Open a stream that is not started: not one sample is taken in or given out.

        Raises:
            SoundStreamError: It cannot be opened.
        """
        side = "input" if direction == "microphone" else "output"
        how = {side: True, f"{side}_device_index": device.number}
        try:
            return self._library().open(
                form.rate_hz,
                form.channels,
                INT_16,
                frames_per_buffer=form.frame_samples,
                stream_callback=callback,
                start=False,
                **how,
            )
        except (OSError, ValueError) as error:
            raise _cannot_be_opened(direction, device, error) from error

    def end(self) -> None:
        """End the library; every stream must be closed. It begins anew when it is next needed."""
        binding, self._binding = self._binding, None
        self._forms.clear()
        if binding is not None:
            binding.terminate()

    def _library(self) -> Binding:
        if self._binding is None:
            self._binding = self._make()
        return self._binding

    def _devices(self, direction: Direction) -> list[Device]:
        library = self._library()
        channels = "maxInputChannels" if direction == "microphone" else "maxOutputChannels"
        found = []
        for index in range(library.get_device_count()):
            told = library.get_device_info_by_index(index)
            if told[channels] > 0:
                rate_hz = int(told["defaultSampleRate"])
                found.append(Device(index, str(told["name"]), rate_hz, int(told[channels])))
        return found

    def _preferred(self, direction: Direction) -> int | None:
        library = self._library()
        try:
            if direction == "microphone":
                return int(library.get_default_input_device_info()["index"])
            return int(library.get_default_output_device_info()["index"])
        except OSError:  # there are devices, and none is preferred
            return None

    def _first_supported(self, direction: Direction, device: Device) -> Form:
        side = "input" if direction == "microphone" else "output"
        for form in forms(device):
            how = {
                f"{side}_device": device.number,
                f"{side}_channels": form.channels,
                f"{side}_format": INT_16,
            }
            try:
                if self._library().is_format_supported(form.rate_hz, **how):
                    return form
            except ValueError as error:
                if not FORM_ERRORS.intersection(error.args):
                    raise _cannot_be_opened(direction, device, error) from error
        raise SoundStreamError(
            f"the {direction} {device.name!r} can do none of our rates with 16-bit samples: "
            "use another, or have ALSA convert (a `plug` in /etc/asound.conf)"
        )


def _cannot_be_opened(direction: Direction, device: Device, error: Exception) -> SoundStreamError:
    told = next((part for part in error.args if isinstance(part, str)), type(error).__name__)
    return SoundStreamError(
        f"the {direction} {device.name!r} cannot be opened ({told}): is it connected, and does "
        "nobody else use it?"
    )


def forms(device: Device) -> list[Form]:
    """Return the forms that are worth trying with a device, the best first."""
    rates = dict.fromkeys((SAMPLE_RATE_HZ, device.rate_hz, *OTHER_RATES_HZ))
    channels = range(1, min(device.channels, CHANNELS_MAX) + 1)
    # 20 ms must be whole samples.
    whole = [rate_hz for rate_hz in rates if rate_hz > 0 and rate_hz * FRAME_MS % 1000 == 0]
    return [Form(rate_hz, count) for rate_hz in whole for count in channels]


_AlsaHandler = ctypes.CFUNCTYPE(
    None, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p
)
_JackHandler = ctypes.CFUNCTYPE(None, ctypes.c_char_p)


def _silence() -> None:
    """Let ALSA and JACK speak to the log, once and for all, and C libraries to nobody."""
    if _handlers:
        return
    alsa, jack = _AlsaHandler(_note_alsa), _JackHandler(_note_jack)
    _handlers.extend((alsa, jack))
    for library, setter, handler in (
        ("libasound.so.2", "snd_lib_error_set_handler", alsa),
        ("libjack.so.0", "jack_set_error_function", jack),
        ("libjack.so.0", "jack_set_info_function", jack),
    ):
        try:
            getattr(ctypes.CDLL(library), setter)(handler)
        except (OSError, AttributeError) as error:
            _log.debug("%s cannot be silenced (%s)", library, error)

    if not _log.isEnabledFor(logging.DEBUG):
        _silence_c()


def _silence_c() -> None:
    """Let what C programs call ``stderr`` lead nowhere; file descriptor 2 stays as it is."""
    libc = ctypes.CDLL(None)
    libc.fopen.restype = ctypes.c_void_p
    nowhere = libc.fopen(b"/dev/null", b"w")
    if nowhere:
        ctypes.c_void_p.in_dll(libc, "stderr").value = nowhere


def _note_alsa(
    _file: bytes | None, _line: int, function: bytes | None, _error: int, told: bytes | None
) -> None:
    _log.debug("ALSA: %s: %s", _text(function), _text(told))


def _note_jack(told: bytes | None) -> None:
    _log.debug("JACK: %s", _text(told))


def _text(told: bytes | None) -> str:
    return (told or b"").decode(errors="replace").strip()
