"""What is installed, and how: pins, platforms, and what the repository says in the open."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections import defaultdict
from pathlib import Path
from typing import Final, NamedTuple

import pytest
from packaging.requirements import Requirement
from packaging.tags import compatible_tags, cpython_tags
from packaging.utils import canonicalize_name, parse_sdist_filename, parse_wheel_filename

ROOT: Final = Path(__file__).resolve().parents[1]
REQUIREMENTS: Final = sorted((ROOT / "requirements").glob("*.txt"))
JAVASCRIPT: Final = ROOT / "tests" / "devcloud" / "official"
PROJECT: Final = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

PLATFORMS: Final = [
    pytest.param(python, machine, id=f"{python[0]}.{python[1]}-{machine}")
    for python in ((3, 11), (3, 12), (3, 13))
    for machine in ("x86_64", "aarch64")
]
"""Debian 12 and 13, Ubuntu 24.04 and Raspberry Pi OS, on a desk and on a device."""

DEVICE_PYTHONS: Final = ((3, 11), (3, 13))
"""Raspberry Pi OS's, after Debian 12 and 13."""

BUILT_ANYWHERE: Final = {"pyaudio", "pyogg"}
"""No wheel at all: PyOgg is plain Python, PyAudio is compiled against the system's PortAudio."""

BUILT_ON_DESKS: Final = {(3, 12): {"pocketsphinx"}}
"""No wheel for that Python: compiled there by tools/setup.sh. Devices never have it."""


class Pin(NamedTuple):
    """One pinned requirement."""

    requirement: Requirement
    hashes: frozenset[str]


def pins(name: str) -> dict[str, Pin]:
    """The pins of a requirements file, by canonical name."""
    text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
    lines = re.sub(r"#.*", "", text).replace("\\\n", " ").splitlines()
    found: dict[str, Pin] = {}
    for line in filter(str.strip, lines):
        requirement, *hashes = line.split(" --hash=sha256:")
        pin = Pin(Requirement(requirement.strip()), frozenset(text.strip() for text in hashes))
        found[canonicalize_name(pin.requirement.name)] = pin
    return found


def wheels() -> dict[str, dict[str, str]]:
    """The listed files of each distribution: SHA-256 by file name."""
    found: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for line in (ROOT / "requirements" / "wheels.sha256").read_text().splitlines():
        sha256, name = line.split()
        parse = parse_wheel_filename if name.endswith(".whl") else parse_sdist_filename
        found[parse(name)[0]][name] = sha256
    return found


def repository_files() -> list[Path]:
    """What is in git, or would be after `git add`."""
    listed = subprocess.run(
        ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"),
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    paths = (ROOT / name for name in filter(None, listed.stdout.split("\0")))
    return [path for path in paths if path.is_file() and not path.is_symlink()]


@pytest.mark.parametrize("file", REQUIREMENTS, ids=lambda path: path.name)
def test_every_pin_is_exact_and_hashed(file: Path) -> None:
    """Nothing is installed but the very files that were looked at."""
    for name, pin in pins(file.name).items():
        assert re.fullmatch(r"==[^*,]+", str(pin.requirement.specifier)), name
        assert pin.hashes, name
        assert all(re.fullmatch(r"[0-9a-f]{64}", sha256) for sha256 in pin.hashes), name


@pytest.mark.parametrize("file", REQUIREMENTS, ids=lambda path: path.name)
def test_requirements_name_no_place_to_fetch_from(file: Path) -> None:
    """Where packages come from is the machine's own configuration."""
    text = file.read_text(encoding="utf-8")
    assert "://" not in text
    assert "@" not in text
    assert not re.search(r"^\s*-(?!-hash=sha256:)", text, re.MULTILINE)


@pytest.mark.parametrize(
    ("file", "extras"), [("device.txt", ()), ("dev.txt", ("desk", "dev"))], ids=str
)
def test_every_dependency_is_pinned_within_its_range(file: str, extras: tuple[str, ...]) -> None:
    """A dependency cannot be added without its pin."""
    project = PROJECT["project"]
    wanted = list(project["dependencies"])
    for extra in extras:
        wanted += project["optional-dependencies"][extra]
    pinned = pins(file)
    for requirement in map(Requirement, wanted):
        (specifier,) = pinned[canonicalize_name(requirement.name)].requirement.specifier
        assert requirement.specifier.contains(specifier.version, prereleases=True), requirement


def test_build_backend_is_pinned_as_the_project_says() -> None:
    """Installing the tree needs no other setuptools than the one in build.txt."""
    (backend,) = PROJECT["build-system"]["requires"]
    assert str(pins("build.txt")["setuptools"].requirement) == backend


@pytest.mark.parametrize("file", ["build.txt", "device.txt"])
def test_smaller_sets_agree_with_the_development_environment(file: str) -> None:
    """What is tested is what is flashed."""
    whole = pins("dev.txt")
    for name in pins(file).keys() & whole.keys():
        assert pins(file)[name].requirement.specifier == whole[name].requirement.specifier
        assert pins(file)[name].hashes == whole[name].hashes


def test_device_gets_nothing_from_the_desk() -> None:
    """The extras stay off the device, and whatever it gets is tested."""
    device = pins("device.txt").keys()
    desk = {Requirement(text).name for text in PROJECT["project"]["optional-dependencies"]["desk"]}
    assert not device & {canonicalize_name(name) for name in desk}
    assert device <= pins("dev.txt").keys()


@pytest.mark.parametrize(("python", "machine"), PLATFORMS)
def test_promised_platform_finds_every_file(python: tuple[int, int], machine: str) -> None:
    """Each pin has a hashed wheel there, or is one of the few that are built."""
    platforms = [f"manylinux_2_{minor}_{machine}" for minor in range(17, 37)]
    platforms.append(f"manylinux2014_{machine}")
    tags = {
        *cpython_tags(python, platforms=platforms),
        *compatible_tags(python, platforms=platforms),
    }
    environment = {
        "python_full_version": f"{python[0]}.{python[1]}.0",
        "python_version": f"{python[0]}.{python[1]}",
        "platform_machine": machine,
        "sys_platform": "linux",
    }
    listed = wheels()
    built = set()
    for name, pin in (pins("build.txt") | pins("dev.txt")).items():
        if pin.requirement.marker and not pin.requirement.marker.evaluate(environment):
            continue
        assert set(listed[name].values()) <= pin.hashes, name
        (specifier,) = pin.requirement.specifier
        assert all(f"-{specifier.version}" in file for file in listed[name]), name
        files = [file for file in listed[name] if file.endswith(".whl")]
        if not any(parse_wheel_filename(file)[3] & tags for file in files):
            assert any(file.endswith(".tar.gz") for file in listed[name]), name
            built.add(name)
    assert built == BUILT_ANYWHERE | BUILT_ON_DESKS.get(python, set())


def test_every_javascript_package_is_locked_with_its_hash_and_without_an_address() -> None:
    """Nothing is installed but the very files that were looked at, from wherever npm gets them."""
    text = (JAVASCRIPT / "package-lock.json").read_text(encoding="utf-8")
    assert "://" not in text
    lock = json.loads(text)["packages"]
    wanted = json.loads((JAVASCRIPT / "package.json").read_text(encoding="utf-8"))["dependencies"]
    assert lock.pop("")["dependencies"] == wanted
    for name, package in lock.items():
        assert re.fullmatch(r"sha512-[A-Za-z0-9+/]{86}==", package["integrity"]), name
        assert not package.keys() & {"resolved", "link"}, name
    for name, version in wanted.items():
        assert lock[f"node_modules/{name}"]["version"] == version


def test_device_compiles_nothing_more() -> None:
    """The Pythons of Raspberry Pi OS find wheels of all but what is built anywhere."""
    assert not BUILT_ON_DESKS.keys() & set(DEVICE_PYTHONS)


def test_repository_names_no_package_registry() -> None:
    """Mirrors and proxies serve as well: no file sends anybody to one host for packages."""
    hosts = re.compile(
        rb"(pypi|pythonhosted|piwheels|npmjs|crates|golang)\.(org|io|com)"
        rb"|(archive|deb|mirrors?|ports|security|snapshot)\.(debian|raspberrypi|ubuntu)\.(org|com)",
        re.IGNORECASE,
    )
    assert hosts.search(b".".join((b"files", b"pythonhosted", b"org")))
    found = [
        f"{path.relative_to(ROOT)}: {match[0].decode()}"
        for path in repository_files()
        if (match := hosts.search(path.read_bytes()))
    ]
    assert not found, "\n".join(found)


def test_commands_are_the_promised_ones() -> None:
    """Each subcommand has its entry point, under the name that people type."""
    assert PROJECT["project"]["scripts"] == {"pommai": "firmware.__main__:main"}
    commands = PROJECT["project"]["entry-points"]["pommai.commands"]
    assert commands.keys() >= {"bench", "cloud", "demo", "diagram", "explore", "replay", "run"}
    for module in commands.values():
        assert (ROOT / module.replace(".", "/")).with_suffix(".py").is_file(), module


def test_make_alone_lists_every_target() -> None:
    """A newcomer finds out what there is by typing one word."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (phony,) = re.findall(r"^\.PHONY: (.*)", makefile, re.MULTILINE)
    listed = subprocess.run(
        ("make", "--silent"), cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert [line.split()[0] for line in listed.stdout.splitlines()] == phony.split()


def set_up(tmp_path: Path, *programs: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run tools/setup.sh where only some programs exist, towards an environment of its own."""
    for program in ("bash", "dirname", "env", "grep", "mkdir", "readlink", "realpath", *programs):
        (tmp_path / program).symlink_to(shutil.which(program) or program)
    environment = {"PATH": str(tmp_path), "VENV": str(tmp_path / "venv"), **environment}
    return subprocess.run(
        (ROOT / "tools" / "setup.sh",), env=environment, check=False, capture_output=True, text=True
    )


def test_setup_without_apt_lists_what_is_needed(tmp_path: Path) -> None:
    """On another kind of machine, one is told what to install and how to go on."""
    ended = set_up(tmp_path)
    assert ended.returncode == 1
    assert "no apt" in ended.stderr
    assert "libopusfile0" in ended.stderr
    assert "pulseaudio-utils git, Node 18 or newer with npm (nodejs npm)" in ended.stderr
    assert "SKIP_SYSTEM=1" in ended.stderr


def test_setup_with_an_old_python_says_which_one_it_needs(tmp_path: Path) -> None:
    """An interpreter that is too old is refused by name, before anything is installed."""
    old = tmp_path / "python3.9"
    old.write_text("#!/usr/bin/env bash\nexit 1\n")
    old.chmod(0o755)
    ended = set_up(tmp_path, PYTHON=str(old), SKIP_SYSTEM="1")
    assert ended.returncode == 1
    assert "Python 3.11 or newer" in ended.stderr
    assert str(old) in ended.stderr
    assert not (tmp_path / "venv").exists()


def test_setup_for_the_demo_needs_neither_git_nor_node() -> None:
    """Only the tests ask for them: the Makefile's other targets never say WITH_TESTS."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (target,) = re.findall(r"^([\w-]+):.*\n\t.*WITH_TESTS", makefile, re.MULTILINE)
    assert target == "setup-test"
    assert re.findall(rf"^(\w+):.* {target}\b", makefile, re.MULTILINE) == ["test"]


@pytest.mark.parametrize("programs", [{}, {"npm": 0, "node": 1}, {"node": 0}], ids=str)
def test_setup_for_tests_says_which_node_it_needs(tmp_path: Path, programs: dict[str, int]) -> None:
    """Without Node or npm, or with an old Node, one is told, before anything is installed."""
    for name, exit_code in programs.items():
        (tmp_path / name).write_text(f"#!/usr/bin/env bash\nexit {exit_code}\n")
        (tmp_path / name).chmod(0o755)
    ended = set_up(tmp_path, "git", PYTHON=sys.executable, SKIP_SYSTEM="1", WITH_TESTS="1")
    assert ended.returncode == 1
    assert "Node 18 or newer, and npm" in ended.stderr
    assert "nodejs npm" in ended.stderr
    assert not (tmp_path / "venv").exists()


def test_setup_for_tests_says_that_it_needs_git(tmp_path: Path) -> None:
    """Without git one is told, before anything is installed."""
    ended = set_up(tmp_path, PYTHON=sys.executable, SKIP_SYSTEM="1", WITH_TESTS="1")
    assert ended.returncode == 1
    assert "the tests need git" in ended.stderr
    assert not (tmp_path / "venv").exists()
