"""A wake word that was tried and accepted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol, Self

from firmware.voice.errors import WakeWordRefusedError
from firmware.voice.wake.micro import ModelRecipe, StockRecipe
from firmware.voice.wake.phrase_engine import PhraseRecipe

if TYPE_CHECKING:
    from firmware.voice.wake.engine import Engine


class Recipe(Protocol):
    """All that it takes to make engines for one word."""

    def make(self) -> Engine:
        """Return a new engine."""

    def to_facts(self) -> dict[str, object]:
        """Return what it can be made from again, as JSON has it."""

    @classmethod
    def from_facts(cls, facts: Mapping[str, object]) -> Self:
        """Return it; `WakeWordRefusedError` (`outdated`) if the facts are none of its own."""


KINDS: Final[Mapping[str, type[Recipe]]] = {
    "stock": StockRecipe,
    "model": ModelRecipe,
    "phrase": PhraseRecipe,
}
"""The recipe for each kind of wake word, by its name in facts."""


@dataclass(frozen=True)
class Prepared:
    """A wake word that was tried and accepted. Its text does not show the word."""

    recipe: Recipe = field(repr=False)

    def make(self) -> Engine:
        """Return a new engine that hears it; it blocks for some tens of ms, on a Pi for up to 1 s.

        Raises:
            WakeWordRefusedError: `unavailable`, or `bad_model`: the file is no longer what it was.
        """
        return self.recipe.make()

    def to_facts(self) -> dict[str, object]:
        """Return what `from_facts` makes it from, plain as JSON has it. The word is among it."""
        kind = next(kind for kind, recipe in KINDS.items() if isinstance(self.recipe, recipe))
        return {"kind": kind, **self.recipe.to_facts()}

    @classmethod
    def from_facts(cls, facts: Mapping[str, object]) -> Self:
        """Return the wake word of facts that were kept: it is not tried again.

        Raises:
            WakeWordRefusedError: `outdated`: they are none, or not of this firmware.
        """
        recipe = KINDS.get(str(facts.get("kind")))
        if recipe is None:
            raise WakeWordRefusedError("outdated")
        return cls(recipe.from_facts(facts))
