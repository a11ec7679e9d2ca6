"""What can go wrong on the desk.

SimulatorError
├── CloudStartError       the development cloud did not start; the message says why
├── CloudLostError        the development cloud started and does not answer any more
├── ClipsMissingError     recorded speech, of the demo or for measuring, is not installed
├── SoundServerError      the sound server, or a device of it, is gone or does not obey
│   └── SoundServerMissingError  it is not installed; the message says what to install
├── SynthesizerError      a synthesizer does not say what it is told
│   └── SynthesizerMissingError  it is not installed; the message says what to install
├── ToyLostError          the toy's process has ended, or does not do what was waited for
└── TurnError             a turn was not answered; the message says what happened instead
"""

from __future__ import annotations


class SimulatorError(Exception):
    """Root of everything raised by this package; its text is one line for a person."""


class CloudStartError(SimulatorError):
    """The development cloud did not start."""


class CloudLostError(SimulatorError):
    """The development cloud does not answer any more."""


class ClipsMissingError(SimulatorError):
    """Recorded speech is not installed."""


class SoundServerError(SimulatorError):
    """The sound server, or a device of it, is gone or does not do what it is told."""


class SoundServerMissingError(SoundServerError):
    """PulseAudio is not installed."""


class SynthesizerError(SimulatorError):
    """A synthesizer does not say what it is told."""


class SynthesizerMissingError(SynthesizerError):
    """A synthesizer is not installed."""


class ToyLostError(SimulatorError):
    """The toy's process has ended, or does not do what was waited for."""


class TurnError(SimulatorError):
    """A turn was not answered."""
