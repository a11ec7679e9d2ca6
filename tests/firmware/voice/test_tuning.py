"""How much is spent on speech."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from firmware.ports import LinkQuality
from firmware.voice.settings import VoiceSettings
from firmware.voice.tuning import CALM_LOOKS, BitrateControl, Tuning

SETTINGS = VoiceSettings()
CALM = LinkQuality(loss_percent=0.0, backlog_ms=0)
LOSSY = LinkQuality(loss_percent=10.0, backlog_ms=0)
JAMMED = LinkQuality(loss_percent=0.0, backlog_ms=500)


def looked(*looks: LinkQuality) -> list[Tuning]:
    """Return what is decided at each look."""
    control = BitrateControl(SETTINGS)
    return [control.look(quality) for quality in looks]


def test_the_usual_is_spent_until_anything_is_known() -> None:
    """24 kbit/s, and error correction for 10 %."""
    assert BitrateControl(SETTINGS).tuning == Tuning(24_000, 10)
    unknown = LinkQuality(loss_percent=None, backlog_ms=0)
    assert set(looked(*[unknown] * 10)) == {Tuning(24_000, 10)}


def test_where_nothing_is_lost_only_such_copies_are_sent_as_cost_nothing() -> None:
    """And not more is spent than the usual, however good the network is."""
    assert set(looked(*[CALM] * 20)) == {Tuning(24_000, 5)}


def test_speech_that_waits_halves_the_bit_rate_within_three_looks() -> None:
    """At once, and not below the least."""
    rates = [tuning.bitrate_bps for tuning in looked(*[JAMMED] * 4)]
    assert rates == [18_000, 13_500, 12_000, 12_000]


def test_bit_rate_rises_slowly_to_the_usual_when_nothing_waits_any_more() -> None:
    """A step for every three looks without a backlog."""
    rates = [tuning.bitrate_bps for tuning in looked(*[JAMMED] * 3, *[CALM] * 12)][3:]
    assert rates[CALM_LOOKS - 1 :: CALM_LOOKS] == [16_000, 20_000, 24_000, 24_000]
    assert rates[:2] == [12_000, 12_000]


def test_a_little_backlog_neither_cuts_nor_counts_as_calm() -> None:
    """What hovers between the limits changes nothing."""
    hovering = LinkQuality(loss_percent=0.0, backlog_ms=120)
    tunings = looked(JAMMED, *[CALM, CALM, hovering] * 10)
    assert set(tunings) == {Tuning(18_000, 5)}


def test_loss_is_answered_with_copies_and_the_room_for_them() -> None:
    """As many as fit without narrowing the voice, and all of them once there is room."""
    tunings = looked(*[LOSSY] * 9)
    assert tunings[0] == Tuning(24_000, 5)
    assert tunings[CALM_LOOKS - 1] == Tuning(28_000, 10)
    assert tunings[-1] == Tuning(32_000, 10)


def test_a_lossy_network_without_room_gets_no_more_than_it_takes() -> None:
    """Backlog goes before loss."""
    both = LinkQuality(loss_percent=10.0, backlog_ms=500)
    assert looked(*[both] * 5)[-1] == Tuning(12_000, 5)


def test_loss_that_hovers_changes_nothing() -> None:
    """Room for copies is made from 2 % on, and taken back below 1 %."""

    def rates(*losses: float) -> list[int]:
        looks = [LinkQuality(loss_percent=loss, backlog_ms=0) for loss in losses]
        return [tuning.bitrate_bps for tuning in looked(*looks)]

    assert rates(1.9, 1.5, 1.9) == [24_000] * 3
    assert rates(2.0, 1.0, 1.5) == [24_000, 24_000, 28_000]
    assert rates(2.0, 1.0, 1.5, 0.9, 1.5, 1.9, 1.9) == [24_000, 24_000, 28_000] + [24_000] * 4


def test_what_loss_was_given_is_taken_back_when_it_is_over() -> None:
    """At the next look."""
    assert looked(*[LOSSY] * 9, CALM)[-1] == Tuning(24_000, 5)


qualities = st.builds(
    LinkQuality, st.none() | st.floats(min_value=0, max_value=100), st.integers(0, 6_000)
)


@given(st.lists(qualities, max_size=60))
def test_every_decision_is_within_bounds(looks: list[LinkQuality]) -> None:
    """Whatever the network does."""
    for bitrate_bps, expected_loss_percent in looked(*looks):
        assert 12_000 <= bitrate_bps <= 32_000
        assert expected_loss_percent in {5, 10}
