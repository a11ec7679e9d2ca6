"""The exception tree."""

from __future__ import annotations

import inspect
import re

from firmware.cloud import errors


def test_the_tree_at_the_top_is_the_tree_of_the_classes() -> None:
    """What is drawn is what is declared: names, order and parents."""
    lines = (errors.__doc__ or "").splitlines()
    found = [re.match(r"([│├└─ ]*)(\w+Error)\b", line) for line in lines]
    drawn = [(len(match[1]) // 4, match[2]) for match in found if match]
    classes = {n: c for n, c in vars(errors).items() if inspect.isclass(c)}
    assert sorted(name for _, name in drawn) == sorted(classes)
    parents = [Exception.__name__]
    for depth, name in drawn:
        parents[depth + 1 :] = [name]
        assert classes[name].__bases__[0].__name__ == parents[depth]
