"""Fingerprints of behaviour: what a journal's header says of the table that made it.

A row's fingerprint covers its columns and the source of every function that it names, without
comments and docstrings; the table's covers all rows, the states, and what is derived. So a change
of behaviour changes a fingerprint wherever it is made, and a change of words does not.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from types import ModuleType

from states import changes, context, derive, effects, events, guards, lookup, machine
from states.lookup import OURS, Rules
from states.rows import Row
from states.table import STATES

_MODULES = (context, changes, guards, events, effects, derive, lookup, machine)


def rows(rules: Rules = OURS) -> Mapping[str, str]:
    """Return the fingerprint of each row by its id: 8 hexadecimal digits."""
    return {row.id: _digest(_row_text(row))[:8] for row in rules.rows}


def table(rules: Rules = OURS) -> str:
    """Return the fingerprint of all behaviour: 16 hexadecimal digits."""
    unacted = [(e.id, e.verdict, e.events, e.sources) for e in rules.unacted]
    states = [(*s[:6], _names(s.enters), _names(s.leaves)) for s in STATES]
    order = [row.id for row in rules.rows]
    parts = (rows(rules), order, unacted, states, [_module_text(module) for module in _MODULES])
    return _digest(repr(parts))[:16]


def _row_text(row: Row) -> str:
    functions: tuple[Callable[..., object], ...] = (*row.when, *row.then, *row.do)
    columns = (row.events, row.sources, row.target, row.ends, _names(functions))
    return repr((columns, [_function_text(function) for function in functions]))


def _names(functions: Iterable[Callable[..., object]]) -> tuple[str, ...]:
    return tuple(function.__name__ for function in functions)


def _function_text(function: Callable[..., object]) -> str:
    """Return what the function does; of one that another made, its name, which tells all."""
    function = inspect.unwrap(function)
    return _definitions(inspect.getmodule(function)).get(function.__name__, function.__name__)


@cache
def _definitions(module: ModuleType | None) -> Mapping[str, str]:
    if module is None:
        return {}
    tree = _stripped(module)
    return {
        node.name: repr(_shape(node)) for node in tree.body if isinstance(node, ast.FunctionDef)
    }


@cache
def _module_text(module: ModuleType) -> str:
    return repr(_shape(_stripped(module)))


def _stripped(module: ModuleType) -> ast.Module:
    """Return the module's syntax without docstrings; comments are no part of syntax."""
    tree = ast.parse(inspect.getsource(module))
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            kept = [one for one in body if not _is_text(one)]
            node.body = kept or [ast.Pass()]  # type: ignore[attr-defined]
    return tree


_SPELLING: frozenset[str] = frozenset(("kind", "type_comment", "ctx"))


def _shape(node: object) -> object:
    """Return a syntax tree as tuples that every Python writes alike.

    ``ast.unparse`` quotes f-strings differently since 3.12, and ``ast.dump`` leaves out empty
    fields since 3.13: a journal of one Python must not seem changed to another.
    """
    if isinstance(node, list):
        return [_shape(one) for one in node]
    if not isinstance(node, ast.AST):
        return node
    fields = ((name, value) for name, value in ast.iter_fields(node) if name not in _SPELLING)
    told = [(name, _shape(value)) for name, value in fields if value is not None and value != []]
    return (type(node).__name__, *told)


def _is_text(node: object) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
