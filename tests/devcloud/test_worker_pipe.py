from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from devcloud.worker_pipe import Kind, Message, Unpacker

MESSAGES = st.builds(
    Message, st.sampled_from(Kind), st.integers(0, 2**32 - 1), st.binary(max_size=50)
)


@given(st.lists(MESSAGES), st.integers(1, 30))
def test_messages_are_found_however_they_are_cut_up(messages: list[Message], piece: int) -> None:
    data = b"".join(message.pack() for message in messages)
    unpacker = Unpacker()
    found: list[Message] = []
    for start in range(0, len(data), piece):
        found += unpacker.feed(data[start : start + piece])
    assert found == messages
