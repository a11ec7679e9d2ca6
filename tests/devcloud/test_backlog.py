from __future__ import annotations

from devcloud.backlog import Backlog

PCM = bytes(3200)


def work(backlog: Backlog) -> int | None:
    """Do one slice of work; the number of the utterance."""
    utterance = backlog.choose()
    if utterance is None:
        return None
    utterance.decoded_bytes = min(utterance.decoded_bytes + len(PCM), len(utterance.pcm))
    return utterance.number


def test_an_utterance_is_decoded_while_it_arrives() -> None:
    backlog = Backlog()
    backlog.append(1, PCM)
    assert work(backlog) == 1
    assert work(backlog) is None
    backlog.append(1, PCM)
    assert work(backlog) == 1


def test_who_was_begun_goes_on_though_another_arrives() -> None:
    backlog = Backlog()
    backlog.append(1, PCM * 3)
    assert work(backlog) == 1
    backlog.append(2, PCM * 3)
    assert [work(backlog), work(backlog), work(backlog)] == [1, 1, 2]


def test_who_has_ended_goes_first_and_the_other_begins_again() -> None:
    backlog = Backlog()
    backlog.append(1, PCM * 3)
    work(backlog)
    backlog.append(2, PCM)
    backlog.end(2)
    assert work(backlog) == 2
    backlog.drop(2)
    overtaken = backlog.choose()
    assert overtaken
    assert (overtaken.number, overtaken.decoded_bytes) == (1, 0)


def test_of_two_that_have_ended_the_one_begun_goes_first() -> None:
    backlog = Backlog()
    for number in (1, 2):
        backlog.append(number, PCM * 2)
        backlog.end(number)
    assert [work(backlog), work(backlog)] == [1, 1]
    backlog.drop(1)
    assert work(backlog) == 2


def test_an_utterance_without_audio_can_end() -> None:
    backlog = Backlog()
    backlog.end(1)
    assert work(backlog) == 1


def test_what_was_dropped_is_forgotten() -> None:
    backlog = Backlog()
    backlog.append(1, PCM)
    work(backlog)
    backlog.drop(1)
    backlog.drop(2)
    assert backlog.choose() is None
