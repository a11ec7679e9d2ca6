"""What is asked of the cloud for as long as the toy runs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Query:
    """A function of the cloud that returns a value for its arguments, and who takes it.

    Of those that are asked at once no two have the same function, so its name is theirs. Both
    takers are called on the loop.

    Attributes:
        function: Its name, as ``toys:getConfiguration``.
        arguments: What it is asked with.
        on_value: Takes its value: the present one, not every one there was, and perhaps the same
            again.
        on_failed: Takes the code with which the cloud refused it, or an empty text.
    """

    function: str
    arguments: Mapping[str, str]
    on_value: Callable[[object], None]
    on_failed: Callable[[str], None]

    def give(self, value: object) -> None:
        """Hand its value to who takes it. A defect of theirs is logged, and asking goes on."""
        try:
            self.on_value(value)
        except Exception as error:  # noqa: BLE001 - a locked toy must hear its release all the same
            # Its text may hold what the cloud sent.
            _log.error("the value of %s was not taken (%s)", self.function, type(error).__name__)

    def fail(self, code: str) -> None:
        """Hand the code of its failure to who takes it, likewise."""
        try:
            self.on_failed(code)
        except Exception as error:  # noqa: BLE001 - likewise
            _log.error("the failure of %s was not taken (%s)", self.function, type(error).__name__)
