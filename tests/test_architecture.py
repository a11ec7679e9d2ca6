"""The arrows of the design, held against the imports that the source files really make."""

from __future__ import annotations

import ast
import functools
import importlib.metadata
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT: Final = Path(__file__).resolve().parents[1]

ARROWS: Final[dict[str, frozenset[str]]] = {
    "states": frozenset(),
    "hardware": frozenset({"states"}),
    "firmware": frozenset({"hardware", "states"}),
    "devcloud": frozenset(),
    "simulator": frozenset({"devcloud", "firmware", "hardware", "states"}),
}
"""Whom each package may import: simulator → firmware → hardware → states, simulator → devcloud."""

FLASHED: Final = frozenset({"states", "hardware", "firmware"})
"""What is on a device, where the extras for the desk are not installed."""

PURE: Final = frozenset(
    {
        "__future__",
        "abc",
        "ast",
        "base64",
        "binascii",
        "bisect",
        "collections",
        "contextlib",
        "copy",
        "dataclasses",
        "difflib",
        "enum",
        "functools",
        "hashlib",
        "heapq",
        "inspect",
        "itertools",
        "json",
        "math",
        "operator",
        "re",
        "string",
        "struct",
        "textwrap",
        "types",
        "typing",
    }
)
"""The standard library without clocks, chance, threads, I/O and the system."""


class Import(NamedTuple):
    """One module that a file imports, and where."""

    module: str
    line: int

    @property
    def top(self) -> str:
        """The top-level package or module."""
        return self.module.partition(".")[0]


def imports(source: str, package: str) -> Iterator[Import]:
    """Every import in a source file of a dotted package: nested, conditional and by name too."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                yield from (Import(alias.name, node.lineno) for alias in names)
            case ast.ImportFrom(module=module, level=0) if module is not None:
                yield Import(module, node.lineno)
            case ast.ImportFrom(module=module, level=level):
                parts = package.split(".")
                base = parts[: max(0, len(parts) - level + 1)]
                yield Import(".".join((*base, *filter(None, [module]))), node.lineno)
            case ast.Call(
                func=ast.Name(id="__import__" | "import_module")
                | ast.Attribute(attr="import_module"),
                args=[ast.Constant(value=str(module)), *_],
            ):
                yield Import(module, node.lineno)


def offence(
    top: str, package: str, distributions: frozenset[str], providers: Mapping[str, list[str]]
) -> str | None:
    """What is wrong with a package's import of a top-level module, if anything."""
    if top == package:
        return None
    if top in ARROWS:
        return None if top in ARROWS[package] else "against the arrows"
    if top in sys.stdlib_module_names:
        return "impure" if package == "states" and top not in PURE else None
    if not distributions & {canonicalize_name(name) for name in providers.get(top, ())}:
        return "not among its dependencies in pyproject.toml"
    return None


@functools.cache
def declared(package: str) -> frozenset[str]:
    """The distributions that a package of ours may use, by canonical name."""
    if package == "states":
        return frozenset({"transitions"})
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    requirements = list(project["dependencies"])
    if package not in FLASHED:
        requirements += project["optional-dependencies"]["desk"]
    return frozenset(canonicalize_name(Requirement(text).name) for text in requirements)


@functools.cache
def installed() -> Mapping[str, list[str]]:
    """The distributions that provide each top-level module here."""
    return importlib.metadata.packages_distributions()


def offences(source: str, package: str) -> list[str]:
    """What a source file of a dotted package imports and must not."""
    top = package.partition(".")[0]
    return [
        f"line {found.line}: {found.module} ({why})"
        for found in imports(source, package)
        if (why := offence(found.top, top, declared(top), installed()))
    ]


def sleeps(source: str) -> list[int]:
    """The lines of a source file that wait for time to pass."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"time.sleep", "sleep"}
    ]


def test_every_package_has_its_place_among_the_arrows() -> None:
    """A new top-level package is drawn into the design before it is used."""
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert packages - {"tests"} == set(ARROWS)


@pytest.mark.parametrize("package", ARROWS)
def test_package_imports_only_what_the_design_allows(package: str) -> None:
    """Arrows run one way, and a device needs nothing that is not flashed."""
    found = [
        f"{path.relative_to(ROOT)} {wrong}"
        for path in sorted((ROOT / package).rglob("*.py"))
        for wrong in offences(
            path.read_text(encoding="utf-8"), ".".join(path.parent.relative_to(ROOT).parts)
        )
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("package", "source", "module"),
    [
        ("states", "import time", "time"),
        ("states", "import os.path as p", "os.path"),
        ("states", "from hardware.clock import Clock", "hardware.clock"),
        ("states", "def f():\n    import random", "random"),
        ("states", "if TYPE_CHECKING:\n    import asyncio", "asyncio"),
        ("states", "import requests", "requests"),
        ("hardware.sim", "from firmware import app", "firmware"),
        ("hardware", "import importlib\nimportlib.import_module('firmware.app')", "firmware.app"),
        ("firmware.cloud", "from devcloud import cli", "devcloud"),
        ("firmware", "__import__('simulator')", "simulator"),
        ("firmware", "import aiohttp", "aiohttp"),
        ("firmware", "import no_such_module", "no_such_module"),
        ("devcloud", "from states import Step", "states"),
        ("devcloud", "import hypothesis", "hypothesis"),
    ],
)
def test_forbidden_import_is_found(package: str, source: str, module: str) -> None:
    """The check above can fail: each way of breaking the design is noticed."""
    assert [wrong.split()[2] for wrong in offences(source, package)] == [module]


@pytest.mark.parametrize(
    ("package", "source"),
    [
        ("states", "from __future__ import annotations\nfrom states.rows import ROWS"),
        ("states", "from transitions import Machine\nimport json, hashlib"),
        ("hardware", "import time, gpiozero\nfrom states import events"),
        ("firmware.cloud", "from . import child\nfrom ..voice import capture\nimport convex"),
        ("devcloud", "import aiohttp.web, jwt, asyncio"),
        ("simulator", "import devcloud, firmware, hardware.sim, states"),
    ],
)
def test_allowed_import_is_let_through(package: str, source: str) -> None:
    """The check does not cry wolf."""
    assert offences(source, package) == []


def test_no_test_sleeps() -> None:
    """Tests wait for events or on the virtual clock, never for time to pass."""
    found = [
        f"{path.relative_to(ROOT)} line {line}"
        for path in sorted((ROOT / "tests").rglob("*.py"))
        for line in sleeps(path.read_text(encoding="utf-8"))
    ]
    assert not found, "\n".join(found)


def test_sleep_is_found() -> None:
    """The check above can fail, and knows a sleep of the virtual loop from a real one."""
    assert sleeps("import time\ntime.sleep(1)\nasyncio.sleep(1)") == [2]
