"""What the lights look like."""

from __future__ import annotations

import itertools

import pytest

from hardware.patterns import (
    CAPTURE_FLOOR,
    GAMMA,
    INK_FLOOR_MAX,
    SAMPLING_FLOOR,
    Colour,
    MicrophoneSign,
    Pattern,
    colour,
    is_moving,
    period_ms,
)

CLOSED, SAMPLING, CAPTURE = MicrophoneSign
FLASHES_PER_SECOND_MAX = 3  # WCAG 2.3.1
FLASH = 0.1  # a change of relative luminance that counts as one (WCAG 2.3.1)


def _period(pattern: Pattern, microphone: MicrophoneSign) -> list[Colour]:
    """One period in steps of 10 ms."""
    return [colour(pattern, microphone, t_ms) for t_ms in range(0, period_ms(pattern), 10)]


def _sign_seen(seen: Colour) -> MicrophoneSign:
    """Read the microphone's sign as an observer would who knows nothing but the rule."""
    if min(seen) >= (SAMPLING_FLOOR + CAPTURE_FLOOR) / 2:
        return CAPTURE
    if min(seen.green, seen.blue) >= (INK_FLOOR_MAX + SAMPLING_FLOOR) / 2:
        return SAMPLING
    return CLOSED


def _stepped(seen: Colour) -> Colour:
    """What is left of a colour after lgpio's PWM, which truncates duty cycles to 1 %."""
    return Colour(*((int(duty * 100) / 100) ** (1 / GAMMA) for duty in seen.duty))


def _luminance(seen: Colour) -> float:
    red, green, blue = seen.duty
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("microphone", MicrophoneSign)
@pytest.mark.parametrize("pattern", Pattern)
def test_any_instant_of_any_pattern_tells_the_microphones_sign(
    pattern: Pattern, microphone: MicrophoneSign
) -> None:
    """The rule needs neither the pattern nor the time, and survives a Pi's coarse PWM."""
    for seen in _period(pattern, microphone):
        assert _sign_seen(seen) is microphone
        assert _sign_seen(_stepped(seen)) is microphone


@pytest.mark.parametrize("pattern", Pattern)
def test_the_three_signs_of_a_pattern_differ_at_every_instant(pattern: Pattern) -> None:
    """Some channel differs by a tenth, as the eye sees it, between any two of them."""
    triples = zip(*(_period(pattern, microphone) for microphone in MicrophoneSign), strict=True)
    for triple in triples:
        for one, other in itertools.combinations(triple, 2):
            assert max(abs(a - b) for a, b in zip(one, other, strict=True)) >= 0.1


@pytest.mark.parametrize("pattern", Pattern)
def test_the_microphones_sign_never_moves(pattern: Pattern) -> None:
    """Sampling keeps its cyan and capture its white, however dark the pattern gets."""
    for seen in _period(pattern, SAMPLING):
        assert min(seen.green, seen.blue) >= SAMPLING_FLOOR
    for seen in _period(pattern, CAPTURE):
        assert min(seen) >= CAPTURE_FLOOR


@pytest.mark.parametrize("microphone", MicrophoneSign)
@pytest.mark.parametrize("pattern", Pattern)
def test_channels_stay_within_what_a_led_can_show(
    pattern: Pattern, microphone: MicrophoneSign
) -> None:
    """0 to 1, before and after gamma."""
    for seen in _period(pattern, microphone):
        assert all(0 <= channel <= 1 for channel in seen)
        assert all(0 <= duty <= 1 for duty in seen.duty)


@pytest.mark.parametrize("microphone", MicrophoneSign)
@pytest.mark.parametrize("pattern", Pattern)
def test_a_pattern_repeats(pattern: Pattern, microphone: MicrophoneSign) -> None:
    """Also after a day."""
    for t_ms in range(0, period_ms(pattern), 30):
        seen = colour(pattern, microphone, t_ms)
        assert colour(pattern, microphone, t_ms + 30_000 * period_ms(pattern)) == seen


@pytest.mark.parametrize("pattern", Pattern)
def test_moving_means_that_the_colour_changes(pattern: Pattern) -> None:
    """So a timer runs for those and for no others."""
    assert is_moving(pattern) == (len(set(_period(pattern, CLOSED))) > 1)


def test_the_steady_lights_are_the_steady_ones() -> None:
    """Asleep, muted, sending and speaking stand still; everything else moves."""
    still = {pattern for pattern in Pattern if not is_moving(pattern)}
    assert still == {Pattern.DIM, Pattern.RED_DOT, Pattern.BLUE_SOLID, Pattern.GREEN}


@pytest.mark.parametrize("microphone", MicrophoneSign)
@pytest.mark.parametrize("pattern", Pattern)
def test_no_pattern_flashes_more_than_three_times_a_second(
    pattern: Pattern, microphone: MicrophoneSign
) -> None:
    """Each channel is held to the limit on its own, so no hue escapes it."""
    seen = [colour(pattern, microphone, t_ms) for t_ms in range(0, 10_000, 10)]
    for channel in range(3):
        rises_ms = _rises_ms([each.duty[channel] for each in seen])
        for begin_ms in rises_ms:
            within = [at_ms for at_ms in rises_ms if begin_ms <= at_ms < begin_ms + 1000]
            assert len(within) <= FLASHES_PER_SECOND_MAX


def _rises_ms(duties: list[float]) -> list[int]:
    """When a level, sampled every 10 ms, had risen by one flash above its last low."""
    rises_ms, low, high = [], duties[0], duties[0]
    is_rising = False
    for index, duty in enumerate(duties):
        if not is_rising:
            low = min(low, duty)
            if duty >= low + FLASH:
                rises_ms.append(index * 10)
                is_rising, high = True, duty
        else:
            high = max(high, duty)
            if duty <= high - FLASH:
                is_rising, low = False, duty
    return rises_ms


@pytest.mark.parametrize(("one", "other"), list(itertools.combinations(Pattern, 2)))
def test_two_patterns_differ_even_without_hue(one: Pattern, other: Pattern) -> None:
    """In period, or in brightness at some time: who sees no red or green tells them apart."""
    if is_moving(one) and is_moving(other) and period_ms(one) != period_ms(other):
        return
    span_ms = range(0, max(period_ms(one), period_ms(other)), 10)
    pairs = [
        (_luminance(colour(one, CLOSED, t_ms)), _luminance(colour(other, CLOSED, t_ms)))
        for t_ms in span_ms
    ]
    assert any(max(pair) >= 1.5 * min(pair) + 0.001 for pair in pairs)


def test_the_names_are_the_ones_agreed() -> None:
    """The table of states asks for lights by these strings."""
    assert set(Pattern) == {
        *("white-sweep", "yellow-blink", "offer-setup", "offer-erase", "yellow-pulse"),
        *("blue-breathing", "dim", "red-dot", "blue-double-pulse", "blue-solid"),
        *("rainbow-swirl", "green", "amber-pulse", "amber-double-pulse", "amber-green"),
        *("red-amber", "red-amber-alarm"),
    }
    assert set(MicrophoneSign) == {"closed", "sampling", "capture"}
