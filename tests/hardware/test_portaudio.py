"""PortAudio: which device, in which form, and what is said of those that are not there."""

from __future__ import annotations

import ctypes
import logging
import subprocess
import sys
from collections.abc import Callable

import pytest

from hardware import portaudio
from hardware.errors import SoundDeviceError, SoundLibraryError, SoundStreamError
from hardware.portaudio import Device, Form, PortAudio, forms
from hardware.sim.clock import run_virtual
from tests.hardware.sound import FakeBinding, Plugged, Room


def in_a_room(claim: Callable[[Room, PortAudio], None], *devices: Plugged) -> None:
    """Run a claim about a library that knows these devices; off the loop, as it always is."""

    async def main() -> None:
        room = Room(list(devices))
        library = PortAudio(lambda: FakeBinding(room))
        await room.loop.run_in_executor(None, claim, room, library)
        await room.card.close()

    run_virtual(main())


MICROPHONES = (
    Plugged("bcm2835 Headphones", outputs=2),
    Plugged("seeed-2mic-voicecard: wm8960 (hw:1,0)", inputs=2, outputs=2),
    Plugged("USB PnP Sound Device: Audio (hw:2,0)", inputs=1, outputs=2),
    Plugged("default", inputs=32, outputs=32),
)


@pytest.mark.parametrize(
    ("name", "number"),
    [("seeed", 1), ("WM8960", 1), ("usb pnp", 2), ("hw:2", 2), ("default", 3), ("audio", 2)],
)
def test_a_part_of_a_name_is_enough_in_capitals_or_not(name: str, number: int) -> None:
    def claim(_: Room, library: PortAudio) -> None:
        assert library.find("microphone", name).number == number

    in_a_room(claim, *MICROPHONES)


def test_a_whole_name_goes_before_a_part_of_one() -> None:
    def claim(_: Room, library: PortAudio) -> None:
        assert library.find("speaker", "mic").number == 1

    in_a_room(claim, Plugged("mic array", outputs=1), Plugged("Mic", outputs=1))


def test_default_is_the_systems_choice_whatever_it_is_called() -> None:
    def claim(_: Room, library: PortAudio) -> None:
        assert library.find("microphone", "default").name == "second"

    in_a_room(claim, Plugged("first", inputs=1), Plugged("second", inputs=1))


def test_a_device_without_the_direction_is_none() -> None:
    def claim(_: Room, library: PortAudio) -> None:
        with pytest.raises(SoundDeviceError) as raised:
            library.find("microphone", "headphones")
        assert str(raised.value) == (
            "no microphone is called 'headphones': there are 'seeed-2mic-voicecard: wm8960 "
            "(hw:1,0)', 'USB PnP Sound Device: Audio (hw:2,0)', 'default'; write (a part of) one "
            "of these as sound.microphone, or connect it"
        )

    in_a_room(claim, *MICROPHONES)


@pytest.mark.parametrize(
    ("direction", "program"), [("microphone", "arecord"), ("speaker", "aplay")]
)
def test_without_any_device_it_says_how_to_look_for_one(
    direction: portaudio.Direction, program: str
) -> None:
    def claim(_: Room, library: PortAudio) -> None:
        with pytest.raises(SoundDeviceError, match=f"no {direction}: connect one.*`{program} -l`"):
            library.find(direction, "default")

    in_a_room(claim)


def test_what_was_plugged_in_later_is_found_once_it_has_begun_anew() -> None:
    def claim(room: Room, library: PortAudio) -> None:
        with pytest.raises(SoundDeviceError):
            library.find("microphone", "late")
        room.devices.append(Plugged("late", inputs=1))
        with pytest.raises(SoundDeviceError):
            library.find("microphone", "late")
        library.end()
        assert library.find("microphone", "late").number == 0
        assert room.history == ["begin", "end", "begin"]

    in_a_room(claim)


@pytest.mark.parametrize(
    ("rates", "channels", "favourite_hz", "form"),
    [
        ((8_000, 16_000, 48_000), (1, 2), 48_000, Form(16_000, 1)),
        ((16_000, 48_000), (2,), 48_000, Form(16_000, 2)),
        ((44_100, 48_000), (1, 2), 44_100, Form(44_100, 1)),
        ((44_100, 48_000), (1, 2), 48_000, Form(48_000, 1)),
        ((48_000,), (2,), 44_100, Form(48_000, 2)),
        ((8_000,), (1,), 44_100, Form(8_000, 1)),
    ],
)
def test_a_card_that_cannot_do_ours_is_opened_in_the_nearest_form(
    rates: tuple[int, ...], channels: tuple[int, ...], favourite_hz: int, form: Form
) -> None:
    def claim(_: Room, library: PortAudio) -> None:
        device = library.find("speaker", "card")
        assert library.form_of("speaker", device) == form
        assert library.form_of("speaker", device) == form

    card = Plugged("card", outputs=2, rates=rates, channels=channels, favourite_hz=favourite_hz)
    in_a_room(claim, card)


def test_a_card_that_does_nothing_at_all_is_an_error_that_says_so() -> None:
    def claim(_: Room, library: PortAudio) -> None:
        device = library.find("speaker", "card")
        with pytest.raises(SoundStreamError, match="'card' can do none of our rates"):
            library.form_of("speaker", device)
        with pytest.raises(SoundStreamError, match=r"'card' cannot be opened .*does nobody else"):
            library.open("speaker", device, Form(16_000, 1), lambda *_: (None, 0))

    in_a_room(claim, Plugged("card", outputs=2, rates=()))


def test_of_a_card_that_is_not_there_no_other_form_is_tried() -> None:
    """Each would be a line of PortAudio's on standard error."""

    def claim(room: Room, library: PortAudio) -> None:
        device = library.find("speaker", "card")
        room.devices.clear()
        with pytest.raises(SoundStreamError) as raised:
            library.form_of("speaker", device)
        assert str(raised.value) == (
            "the speaker 'card' cannot be opened (Device unavailable): is it connected, and does "
            "nobody else use it?"
        )

    in_a_room(claim, Plugged("card", outputs=2))


def test_every_form_that_is_tried_has_whole_samples_in_20_ms() -> None:
    tried = forms(Device(0, "odd", 11_025, 8))
    assert tried[0] == Form(16_000, 1)
    assert all(form.frame_samples * 50 == form.rate_hz for form in tried)
    assert {form.channels for form in tried} == {1, 2}
    assert len(set(tried)) == len(tried)


def test_a_library_that_cannot_be_initialised_is_an_error_that_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "pyaudio", None)
    with pytest.raises(SoundLibraryError, match="install libportaudio2"):
        portaudio.load()


def test_what_alsa_and_jack_say_is_for_the_debug_log_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    portaudio._silence()
    portaudio._silence()
    assert len(portaudio._handlers) == 2
    with caplog.at_level(logging.DEBUG, "hardware.portaudio"):
        card = ctypes.c_void_p()
        opened = ctypes.CDLL("libasound.so.2").snd_pcm_open(ctypes.byref(card), b"nonesuch", 0, 0)
        portaudio._note_jack(b"no server\n")
    assert opened < 0
    assert any(told.startswith("ALSA: snd_pcm_open") for told in caplog.messages)
    assert caplog.messages[-1] == "JACK: no server"


def test_initialising_it_prints_nothing_whatever_is_missing() -> None:
    """A hundred lines, else, about cards that are not there."""
    script = "from hardware import portaudio; portaudio.load().terminate()"
    told = subprocess.run(  # noqa: PLW1510 - its output is the claim
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60
    )
    assert (told.returncode, told.stdout, told.stderr) == (0, "", "")
