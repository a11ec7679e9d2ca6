"""The toy's own sounds, by the names that `states.table` gives them."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

from firmware.voice.earcons import Note, synthesise
from firmware.voice.errors import MisuseError

if TYPE_CHECKING:
    from collections.abc import Mapping

_A4, _B4, _C5, _D5, _E5, _G5, _A5 = 440.0, 493.9, 523.3, 587.3, 659.3, 784.0, 880.0
_REST = Note(0, 40)

# Rising invites, falling ends, repeating refuses; the longer it is, the more it matters.
CUES: Final[Mapping[str, tuple[Note, ...]]] = {
    "listening": (Note(_E5, 80), Note(_A5, 120)),
    "end": (Note(_A5, 80), Note(_E5, 120)),
    "denied": (Note(_A4, 120), _REST, Note(_A4, 120)),
    "not_yet": (Note(_D5, 80), _REST, Note(_D5, 80), _REST, Note(_D5, 80)),
    "apology": (Note(_G5, 120), Note(_E5, 120), Note(_C5, 280)),
    "offline": (Note(_E5, 120), Note(_B4, 280)),
    "locked": (Note(_C5, 120), _REST, Note(_C5, 120), Note(_A4, 280)),
    "offer_setup": (Note(_C5, 120), Note(_E5, 120), Note(_G5, 120), Note(_A5, 120)),
    "offer_erase": (Note(_A5, 120), Note(_G5, 120), Note(_E5, 120), Note(_C5, 120)),
    "set_me_up": (Note(_C5, 120), Note(_G5, 120), Note(_C5, 120), Note(_G5, 120)),
    "fault": (Note(_B4, 120), Note(_A4, 120), _REST, Note(_B4, 120), Note(_A4, 120)),
}


@cache
def cue_frames(name: str) -> tuple[bytes, ...]:
    """Return a sound as frames of PCM; the first call for each name takes some milliseconds.

    Raises:
        MisuseError: There is no such sound.
    """
    if name not in CUES:
        raise MisuseError(f"there is no sound {name!r}, only {', '.join(sorted(CUES))}")
    return synthesise(CUES[name])
