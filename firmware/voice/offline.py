"""Answers of the device's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from firmware.ports import Acknowledge, PerformEffect, Post


class OfflineAnswers:
    """Performs what the toy says without the gateway: so far it has nothing to say.

    It posts `answer_failed` at once; the apology for that is the table's. A guardian whose words
    are not spoken is told so.

    Args:
        post: Where events go.
        acknowledge: Answers the guardian's command; None where no commands are received.
    """

    def __init__(self, post: Post, acknowledge: Acknowledge | None = None) -> None:
        self._post = post
        self._acknowledge = acknowledge

    @property
    def effects(self) -> Mapping[str, PerformEffect]:
        """What it performs."""
        return {"answer_offline": self._answer, "say": self._say}

    def _answer(self, turn: int) -> None:
        self._post("answer_failed", turn=turn)

    def _say(self, turn: int, command: str) -> None:
        if self._acknowledge is not None:
            self._acknowledge(command, "unsupported")
        self._post("answer_failed", turn=turn)
