"""Rewrites requirements/ from what pyproject.toml asks for, and the lock file beside package.json.

Run it as ``make pins`` after a change of dependencies, or as ``make pins PINS_ARGS=--upgrade`` to
move to the newest versions that are allowed; otherwise present pins stay where they are. It writes:

- ``build.txt``: the build backend, and what compiles PocketSphinx where it has no wheel;
- ``device.txt``: what is flashed;
- ``dev.txt``: the whole development environment, a superset of ``device.txt``;
- ``uv.txt``: the resolver that this script uses;
- ``wheels.sha256``: the files that the promised platforms install, in the form of ``sha256sum``,
  for people to read and for tests/test_packaging.py to check;
- ``tests/devcloud/official/package-lock.json``: Convex's JavaScript client, after the versions in
  ``package.json``, which are exact and changed by hand.

Each pin has the hashes of all files of its release, so the same requirements serve every platform.
The network is used; whichever index and certificates the machine is set up with are left out of
the files.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tomllib
from pathlib import Path, PurePosixPath
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from packaging.markers import Marker
from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import parse_wheel_filename

ROOT: Final = Path(__file__).resolve().parents[1]
PINS: Final = ROOT / "requirements"
JAVASCRIPT: Final = ROOT / "tests" / "devcloud" / "official"
WORK: Final = ROOT / "build" / "pins"

PYTHONS: Final = ((3, 11), (3, 12), (3, 13))
MACHINES: Final = ("x86_64", "aarch64")
GLIBC_MINOR_OLDEST: Final = 36
"""Debian 12 has glibc 2.36; Ubuntu 24.04 and Debian 13 have newer ones."""
GLIBC_MINOR_FIRST: Final = 17
"""manylinux2014, the oldest wheels still in use."""

SOURCE_ALLOWED: Final = frozenset({"pyaudio", "pyogg", "pocketsphinx"})
"""What tools/setup.sh builds where there is no wheel: PyAudio has none for Linux; PyOgg, plain
Python, none at all; PocketSphinx none for some Pythons."""


def run(*command: str | Path, given: str | None = None) -> None:
    """Run a program in the root of the tree, with ``given`` as its input."""
    subprocess.run(command, cwd=ROOT, check=True, text=True, input=given)


def compile_pins(target: Path, *options: str | Path, given: str | None = None) -> None:
    """Resolve requirements for every platform into ``target``, which then names no index."""
    run(
        WORK / "bin" / "uv",
        *("pip", "compile", "--quiet", "--no-config", "--universal"),
        *("--python-version", ".".join(map(str, PYTHONS[0]))),
        *("--no-emit-index-url", "--custom-compile-command", "make pins"),
        *options,
        *("--output-file", target),
        given=given,
    )


def supported_tags(python: tuple[int, int], machine: str) -> frozenset[Tag]:
    """The wheel tags that a promised Python takes on a promised machine."""
    minors = range(GLIBC_MINOR_OLDEST, GLIBC_MINOR_FIRST - 1, -1)
    platforms = [f"manylinux_2_{minor}_{machine}" for minor in minors]
    platforms += [f"manylinux2014_{machine}", f"linux_{machine}"]
    return frozenset(
        (*cpython_tags(python, platforms=platforms), *compatible_tags(python, platforms=platforms))
    )


def needed(package: dict[str, Any], python: tuple[int, int], machine: str) -> bool:
    """Whether a locked package is installed at all on a promised platform."""
    environment = {
        "implementation_name": "cpython",
        "platform_machine": machine,
        "platform_python_implementation": "CPython",
        "platform_system": "Linux",
        "python_full_version": f"{python[0]}.{python[1]}.0",
        "python_version": f"{python[0]}.{python[1]}",
        "sys_platform": "linux",
    }
    return "marker" not in package or Marker(package["marker"]).evaluate(environment)


def file_name(artifact: dict[str, Any]) -> str:
    """The name of a locked file, without where it lies."""
    return PurePosixPath(unquote(urlsplit(artifact["url"]).path)).name


def installable(package: dict[str, Any], python: tuple[int, int], machine: str) -> list[Any]:
    """The files of a locked package that a promised platform can install.

    Raises:
        SystemExit: there is none.
    """
    tags = supported_tags(python, machine)
    wheels = [
        wheel
        for wheel in package.get("wheels", ())
        if parse_wheel_filename(file_name(wheel))[3] & tags
    ]
    if not wheels and package["name"] in SOURCE_ALLOWED:
        return [package["sdist"]]
    if not wheels:
        sys.exit(
            f"{package['name']} {package['version']} has no wheel for Python "
            f"{python[0]}.{python[1]} on {machine}: ask for a version that has one"
        )
    return wheels


def files_installed(lock: dict[str, Any]) -> dict[str, str]:
    """The SHA-256 of each file that a promised platform installs, by the file's name."""
    return {
        file_name(artifact): artifact["hashes"]["sha256"]
        for package in lock["packages"]
        for python in PYTHONS
        for machine in MACHINES
        if needed(package, python, machine)
        for artifact in installable(package, python, machine)
    }


def write_wheels() -> None:
    """Write ``wheels.sha256`` for what ``build.txt`` and ``dev.txt`` pin."""
    lock_file = WORK / "pylock.toml"
    pinned = (PINS / "build.txt", PINS / "dev.txt")
    compile_pins(lock_file, "--format", "pylock.toml", "--no-deps", *pinned)
    files = files_installed(tomllib.loads(lock_file.read_text()))
    text = "".join(f"{sha256}  {name}\n" for name, sha256 in sorted(files.items()))
    (PINS / "wheels.sha256").write_text(text)


def write_javascript_lock() -> None:
    """Write ``package-lock.json``, without any address: where from is the machine's affair."""
    npm = ("npm", "--prefix", JAVASCRIPT, "install", "--package-lock-only", "--ignore-scripts")
    run(*npm, "--omit=optional", "--omit-lockfile-registry-resolved", "--no-audit", "--no-fund")
    file = JAVASCRIPT / "package-lock.json"
    lock = json.loads(file.read_text(encoding="utf-8"))
    for package in lock["packages"].values():
        package.pop("funding", None)
    file.write_text(json.dumps(lock, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def main() -> None:
    """Resolve everything, each file in step with those before it."""
    parser = argparse.ArgumentParser(description="Rewrite requirements/ after pyproject.toml.")
    parser.add_argument(
        "--upgrade",
        action="store_const",
        const=["--upgrade"],
        default=[],
        help="move to the newest versions that pyproject.toml allows",
    )
    upgrade: list[str] = parser.parse_args().upgrade

    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--upgrade", "--target", WORK)
    run(*pip, "--require-hashes", "--only-binary", ":all:", "-r", PINS / "uv.txt")

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    hashed = ("--generate-hashes", *upgrade)
    compile_pins(PINS / "uv.txt", *hashed, "--group", "pins")
    compile_pins(
        PINS / "build.txt",
        *(*hashed, "--no-annotate", "--group", "compile", "-"),
        given="\n".join(project["build-system"]["requires"]),
    )
    extras = ("--extra", "desk", "--extra", "dev", "-c", PINS / "build.txt")
    compile_pins(PINS / "dev.txt", *hashed, *extras, "pyproject.toml")
    compile_pins(PINS / "device.txt", "--generate-hashes", "-c", PINS / "dev.txt", "pyproject.toml")
    write_wheels()
    write_javascript_lock()


if __name__ == "__main__":
    main()
