"""What is asked of the cloud for as long as the toy runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass


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
