"""What a function's arguments may be, in the vocabulary of Convex's ``v``.

A validator checks a value and prints as it would be written in a Convex function. What does not
fit is refused in the words of a deployment, which quote the value: whoever logs an error's text
logs what it sent.

Source: Convex's documented validators, and the texts that its deployments answer with.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NoReturn, Protocol

from devcloud import values
from devcloud.errors import FunctionError

if TYPE_CHECKING:
    from devcloud.values import ConvexObject, ConvexValue

QUOTED_CHARS_MAX: Final = 200
"""How much of a value is quoted to the one who sent it."""


class Validator(Protocol):
    """Says what a value may be; ``str()`` of it is how Convex writes it."""

    def check(self, value: ConvexValue, path: str = "") -> None:
        """Let a value pass; ``path`` says where it stands, as ``.field[0]``.

        Raises:
            FunctionError: it does not fit, in the words of Convex.
        """
        ...


@dataclass(frozen=True, slots=True)
class _Kind:
    """A value of one of Python's types."""

    name: str
    kind: type

    def check(self, value: ConvexValue, path: str = "") -> None:
        # Only bool is a subclass of another of these; `3` is no boolean, `true` no number.
        if type(value) is not self.kind:
            _refuse(value, self, path)

    def __str__(self) -> str:
        return f"v.{self.name}()"


@dataclass(frozen=True, slots=True)
class _Any:
    def check(self, value: ConvexValue, path: str = "") -> None:
        """Let it pass, whatever it is."""

    def __str__(self) -> str:
        return "v.any()"


@dataclass(frozen=True, slots=True)
class _Literal:
    literal: str | bool

    def check(self, value: ConvexValue, path: str = "") -> None:
        if type(value) is not type(self.literal) or value != self.literal:
            _refuse(value, self, path)

    def __str__(self) -> str:
        return f"v.literal({json.dumps(self.literal)})"


@dataclass(frozen=True, slots=True)
class _Union:
    members: tuple[Validator, ...]

    def check(self, value: ConvexValue, path: str = "") -> None:
        for member in self.members:
            try:
                member.check(value, path)
            except FunctionError:
                continue
            return
        _refuse(value, self, path)

    def __str__(self) -> str:
        return f"v.union({', '.join(map(str, self.members))})"


@dataclass(frozen=True, slots=True)
class _Array:
    item: Validator

    def check(self, value: ConvexValue, path: str = "") -> None:
        if not isinstance(value, Sequence) or isinstance(value, str | bytes):
            _refuse(value, self, path)
        for index, item in enumerate(value):
            self.item.check(item, f"{path}[{index}]")

    def __str__(self) -> str:
        return f"v.array({self.item})"


@dataclass(frozen=True, slots=True)
class _Record:
    item: Validator

    def check(self, value: ConvexValue, path: str = "") -> None:
        if not isinstance(value, Mapping):
            _refuse(value, self, path)
        for name, item in value.items():
            # Any object may have these in a deployment, and a document gets some by itself; a
            # record, by its documentation, never.
            if not name or name.startswith("_"):
                self._refuse_key(name, path)
            self.item.check(item, f"{path}.{name}")

    def _refuse_key(self, name: str, path: str) -> NoReturn:
        where = f"Path: {path}\n" if path else ""
        raise FunctionError(
            f"ArgumentValidationError: A record's keys cannot be empty or begin with '_'.\n"
            f"{where}Key: {_quoted(name)}\nValidator: {self}"
        )

    def __str__(self) -> str:
        return f"v.record(v.string(), {self.item})"


@dataclass(frozen=True, slots=True)
class _Optional:
    validator: Validator

    def check(self, value: ConvexValue, path: str = "") -> None:
        self.validator.check(value, path)

    def __str__(self) -> str:
        return f"v.optional({self.validator})"


@dataclass(frozen=True, slots=True)
class _Object:
    fields: Mapping[str, Validator]

    def check(self, value: ConvexValue, path: str = "") -> None:
        if not isinstance(value, Mapping):
            _refuse(value, self, path)
        extra = set(value) - set(self.fields)
        if extra:
            name = min(extra)[:QUOTED_CHARS_MAX]
            self._refuse_object(
                value, f"Object contains extra field `{name}` that is not in the validator."
            )
        for name, validator in self.fields.items():
            if name in value:
                validator.check(value[name], f"{path}.{name}")
            elif not isinstance(validator, _Optional):
                self._refuse_object(
                    value,
                    f"Object is missing the required field `{name}`. Consider wrapping the field"
                    " validator in `v.optional(...)` if this is expected.",
                )

    def _refuse_object(self, value: ConvexObject, reason: str) -> NoReturn:
        raise FunctionError(
            f"ArgumentValidationError: {reason}\n\nObject: {_quoted(value)}\nValidator: {self}"
        )

    def __str__(self) -> str:
        return f"v.object({{{', '.join(f'{name}: {of}' for name, of in self.fields.items())}}})"


STRING: Final[Validator] = _Kind("string", str)
NUMBER: Final[Validator] = _Kind("float64", float)
BOOLEAN: Final[Validator] = _Kind("boolean", bool)
NULL: Final[Validator] = _Kind("null", type(None))
ANY: Final[Validator] = _Any()


def literals(*texts: str) -> Validator:
    """One of these texts, and no other."""
    return _Union(tuple(_Literal(text) for text in texts))


def literal(value: str | bool) -> Validator:  # noqa: FBT001 - `v.literal(false)` is how it is said
    """Exactly this value."""
    return _Literal(value)


def union(*members: Validator) -> Validator:
    """Whatever one of these allows."""
    return _Union(members)


def array(item: Validator) -> Validator:
    """A list of any length, each of its items like that."""
    return _Array(item)


def record(item: Validator) -> Validator:
    """An object with whatever names, each of its values like that."""
    return _Record(item)


def optional(validator: Validator) -> Validator:
    """Like that, or left out; only for the fields of an object."""
    return _Optional(validator)


def fields(**validators: Validator) -> Validator:
    """An object of these fields and no others."""
    return _Object(validators)


def _refuse(value: ConvexValue, validator: Validator, path: str) -> NoReturn:
    where = f"Path: {path}\n" if path else ""
    raise FunctionError(
        "ArgumentValidationError: Value does not match validator.\n"
        f"{where}Value: {_quoted(value)}\nValidator: {validator}"
    )


def _quoted(value: ConvexValue) -> str:
    text = json.dumps(values.encode(value), ensure_ascii=False)
    return text if len(text) <= QUOTED_CHARS_MAX else f"{text[:QUOTED_CHARS_MAX]}…"
