"""What an utterance costs on the wire."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from firmware.bench import wire
from hardware.codec import OpusEncoder
from tests.hardware.voices import frames, voice

if TYPE_CHECKING:
    from pathlib import Path


def packets(pcm: bytes) -> list[bytes]:
    """What the encoder makes of an utterance."""
    with OpusEncoder() as encoder:
        return [encoder.encode(frame) for frame in frames(pcm)]


def test_binary_costs_its_header_and_that_of_the_frame() -> None:
    """16 bytes of ours, 2 of WebSocket and a mask of 4; 4 where the message exceeds 125."""
    sizes = [len(packet) + 16 for packet in packets(voice(1_000))]
    expected = sum(size + (6 if size < 126 else 8) for size in sizes)
    assert wire.costs([voice(1_000)])["binary"].utterance == pytest.approx(expected)


def test_hex_costs_twice_and_more() -> None:
    """And samples many times that."""
    costs = wire.costs([voice(1_000)])
    speech = sum(map(len, packets(voice(1_000))))
    assert costs["seed"].utterance > 2 * speech + 50 * 40
    assert 2 * 32_000 < costs["gateway"].utterance < 2 * 32_000 + 50 * 200


def test_budget_is_met_with_recorded_speech() -> None:
    """32 kbit/s for an utterance in Opus at 24, and less than half of what hex takes."""
    costs = wire.costs()
    assert costs["binary"].utterance <= 4_000
    assert costs["binary"].utterance < 0.5 * costs["seed"].utterance


def test_machine_without_recordings_measures_a_voice_of_arithmetic(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The encoder takes it for speech, and spends on it as much."""
    monkeypatch.setattr(wire, "CLIPS_DIR", tmp_path)
    cost = wire.costs()["binary"]
    assert 2_000 < cost.utterance <= 4_000
    assert cost.voice > cost.utterance
