from __future__ import annotations

import pytest

from devcloud.answer import touches


@pytest.mark.parametrize(
    ("transcript", "topics", "blocked"),
    [
        ("go forward ten meters", ["forward"], True),
        ("go forward ten meters", ["for"], False),
        ("go forward ten meters", ["Ten  Meters!"], True),
        ("go forward ten meters", ["forward meters"], False),
        ("go forward ten meters", ["", "!"], False),
        ("", ["forward"], False),
        ("go forward", [], False),
    ],
)
def test_a_topic_is_touched_by_its_whole_words_in_a_row(
    transcript: str, topics: list[str], *, blocked: bool
) -> None:
    assert touches(transcript, topics) is blocked
