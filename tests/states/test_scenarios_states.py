"""What a person sees and hears of each state: the table of states, line by line."""

from __future__ import annotations

import pytest

from tests.states.scenario import EVERYWHERE, Toy, at

LIGHTS = {
    "boot.reading": "white-sweep",
    "boot.held": "white-sweep",
    "boot.offer_setup": "offer-setup",
    "boot.offer_erase": "offer-erase",
    "boot.confirm_setup": "offer-setup",
    "boot.confirm_erase": "offer-erase",
    "boot.erasing": "offer-erase",
    "boot.testing": "white-sweep",
    "boot.setup": "yellow-blink",
    "boot.unprovisioned": "yellow-blink",
    "auth": "yellow-pulse",
    "idle.awake": "blue-breathing",
    "idle.asleep": "dim",
    "idle.muted": "red-dot",
    "listening.hearing": "blue-double-pulse",
    "listening.connecting": "rainbow-swirl",
    "streaming.sending": "blue-solid",
    "streaming.flushing": "rainbow-swirl",
    "streaming.waiting": "rainbow-swirl",
    "speaking": "green",
    "offline.ready": "amber-pulse",
    "offline.listening": "amber-double-pulse",
    "offline.answering": "amber-green",
    "safety_lockout.pause": "red-amber",
    "safety_lockout.lock": "red-amber",
}
CAPTURING = ("listening.hearing", "streaming.sending", "offline.listening")
LIMITS_MS = {
    "boot.reading": 30_000,
    "boot.testing": 30_000,
    "boot.setup": 600_000,
    "auth": 20_000,
    "listening.hearing": 5_000,
    "offline.listening": 5_000,
    "streaming.sending": 30_000,
    "streaming.waiting": 10_000,
    "speaking": 120_000,
    "offline.answering": 60_000,
}
RESTING = ("boot.unprovisioned", "idle.awake", "idle.asleep", "idle.muted", "offline.ready")


@pytest.mark.parametrize("leaf", LIGHTS)
def test_every_state_has_its_light(leaf: str) -> None:
    """Light (default board): each state shows what it is."""
    at(leaf).shows(LIGHTS[leaf])


def test_nothing_is_lit_before_the_start() -> None:
    """White sweep from the start on: before it nobody was asked to light anything."""
    Toy().shows("").happens("started").shows("white-sweep")


@pytest.mark.parametrize("leaf", EVERYWHERE)
def test_the_microphone_captures_in_three_states_alone(leaf: str) -> None:
    """Capture happens only in ``listening``, ``streaming.sending``, ``offline.listening``."""
    at(leaf).has_microphone("capture" if leaf in CAPTURING else "closed")


@pytest.mark.parametrize("leaf", ["idle.awake", "offline.ready", "speaking"])
def test_the_microphone_samples_in_three_states_where_enabled(leaf: str) -> None:
    """Sampling only in ``idle.awake``, ``offline.ready`` and ``speaking``."""
    stories = {"idle.awake": Toy.ready, "offline.ready": Toy.offline, "speaking": Toy.speaking}
    stories[leaf](wake=True, wake_barge=True).is_in(leaf).has_microphone("sampling")


def test_the_speaker_is_open_for_what_is_to_be_heard_alone() -> None:
    """Speaker: cues; closed; open in ``speaking``; answers; fixed local sounds only when locked."""
    for leaf in EVERYWHERE:
        toy = at(leaf)
        if leaf == "speaking":
            toy.has_speaker("reply")
        elif leaf == "offline.answering":
            toy.has_speaker("answers")
        elif leaf.startswith("safety_lockout"):
            toy.has_speaker("fixed")
        else:
            assert toy.speaker in ("cues", "closed"), leaf
    Toy.sending().has_speaker("closed")


@pytest.mark.parametrize("leaf", LIMITS_MS)
def test_every_state_that_is_no_rest_ends_by_itself(leaf: str) -> None:
    """Timeouts: each counted from the beginning of its state."""
    at(leaf).awaits("state", LIMITS_MS[leaf])


def test_every_other_state_ends_by_itself_too() -> None:
    """Every state but the resting ones and a ``lock`` has a timeout."""
    for leaf in EVERYWHERE:
        toy = at(leaf)
        if leaf in RESTING or leaf == "safety_lockout.lock":
            toy.awaits_no("state", "pause")
        elif leaf == "safety_lockout.pause":
            toy.awaits("pause", 300_000)
        elif leaf != "boot.dark":
            assert toy.timers["state"].ms <= 600_000
