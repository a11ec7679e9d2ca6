"""The device's configuration: one TOML file, and the environment over it.

Each section is a frozen dataclass beside the code that uses it; this file only puts them together.
``POMMAI_<SECTION>_<KEY>`` in the environment takes precedence over the file. A key that nobody
knows is refused, with the nearest one that somebody does.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import re
import reprlib
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Final, get_type_hints

from firmware.cloud.guardian_key import GuardianKey
from firmware.cloud.settings import CloudSettings
from firmware.errors import SettingsError
from firmware.metrics import MetricsSettings
from firmware.setting import setting
from firmware.store.audio import AudioSettings
from firmware.store.settings import StoreSettings
from firmware.stream.settings import StreamSettings
from firmware.voice.settings import VoiceSettings

PREFIX: Final = "POMMAI_"
FILE_BYTES_MAX: Final = 65_536
_BOOLEANS: Final = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_WANTED: Final = {
    "int": "a whole number",
    "str": "text in quotes",
    "bool": "true or false",
}


@dataclass(frozen=True, kw_only=True)
class IdentitySettings:
    """Who the device is. Without name, toy and secret it waits to be set up."""

    device_id: str = setting("", "the device's name at the cloud")
    toy_id: str = setting("", "the toy that the device is")
    secret_file: str = setting("", "file that holds the device's secret, readable by nobody else")
    guardian_key: str = setting(
        "",
        "Ed25519 public key, in base64, that releases must be signed with; empty: none is",
    )

    def __post_init__(self) -> None:
        if self.guardian_key:
            GuardianKey(self.guardian_key)


@dataclass(frozen=True, kw_only=True)
class DeviceSettings:
    """The body and where the device keeps its data."""

    board: str = setting("sim", "the board's profile")
    data_dir: str = setting("/var/lib/pommai", "folder for lock record, journal and caches")


@dataclass(frozen=True, kw_only=True)
class SoundSettings:
    """Which microphone and which speaker; see `hardware.portaudio.PortAudio.find`."""

    microphone: str = setting(
        "", "part of its name; empty: the board's; default: the system's; virtual: simulated"
    )
    speaker: str = setting("", "part of its name, likewise")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The whole configuration; each attribute is a section of the file."""

    identity: IdentitySettings = field(default_factory=IdentitySettings)
    device: DeviceSettings = field(default_factory=DeviceSettings)
    sound: SoundSettings = field(default_factory=SoundSettings)
    cloud: CloudSettings = field(default_factory=CloudSettings)
    stream: StreamSettings = field(default_factory=StreamSettings)
    voice: VoiceSettings = field(default_factory=VoiceSettings)
    store: StoreSettings = field(default_factory=StoreSettings)
    audio: AudioSettings = field(default_factory=AudioSettings)
    metrics: MetricsSettings = field(default_factory=MetricsSettings)

    def digest(self) -> str:
        """Return the fingerprint that journals carry: 16 hexadecimal digits. It holds no secret."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


_SECTIONS: Final[Mapping[str, Any]] = get_type_hints(Settings)


def load(path: Path | None, environment: Mapping[str, str] = os.environ) -> Settings:
    """Return the configuration in ``path`` (defaults without one), the environment over it.

    Raises SettingsError, whose text names the file or variable, the key and what to do.
    """
    given = {} if path is None else _read(path)
    origin = str(path) if path is not None else "the configuration"
    for name in given:
        _known(name, _SECTIONS, f"{origin}: section [{name}]")
    values = {name: dict(_table(given.get(name, {}), name, origin)) for name in _SECTIONS}
    origins = {(name, key): origin for name, keys in values.items() for key in keys}
    for variable, text in environment.items():
        if variable.startswith(PREFIX):
            name, key, value = _from_environment(variable, text)
            values[name][key] = value
            origins[name, key] = variable
    return Settings(**{name: _section(name, values[name], origins) for name in _SECTIONS})


def describe() -> str:
    """Return every key with its default, unit and meaning, as a configuration file."""
    sections = ("\n".join((f"[{name}]", *_described(make()))) for name, make in _SECTIONS.items())
    return "\n\n".join(sections)


def _described(section: Any) -> list[str]:  # noqa: ANN401 - any of the sections
    return [
        f"{key.name} = {json.dumps(getattr(section, key.name))}  # {key.metadata['says']}"
        + (f" [{key.metadata['unit']}]" if key.metadata["unit"] else "")
        for key in fields(section)
    ]


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            content = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise SettingsError(
            f"{path}: cannot be read: {error.strerror}: name a TOML file that can"
        ) from error
    if len(content) > FILE_BYTES_MAX:
        raise SettingsError(f"{path}: is longer than {FILE_BYTES_MAX} bytes: is it the right file?")
    try:
        return tomllib.loads(content.decode())
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"{path}: is not TOML: {error}") from error


def _table(given: object, name: str, origin: str) -> Mapping[str, object]:
    if not isinstance(given, dict):
        raise SettingsError(
            f"{origin}: {name} must be a section: write [{name}] and its keys below"
        )
    return given


def _from_environment(variable: str, text: str) -> tuple[str, str, object]:
    known = {
        f"{PREFIX}{name}_{key.name}".upper(): (name, key)
        for name, make in _SECTIONS.items()
        for key in fields(make)
    }
    _known(variable, known, "environment variable " + variable)
    name, key = known[variable]
    return name, key.name, _from_text(text, str(key.type), variable)


def _from_text(text: str, wanted: str, variable: str) -> object:
    if wanted == "str":
        return text
    if wanted == "bool":
        if text.lower() not in _BOOLEANS:
            raise SettingsError(f"{variable} is {text!r}: write true or false")
        return _BOOLEANS[text.lower()]
    try:
        return int(text)
    except ValueError:
        raise SettingsError(f"{variable} is {text!r}: write {_WANTED[wanted]}") from None


def _section(
    name: str, values: Mapping[str, object], origins: Mapping[tuple[str, str], str]
) -> Any:  # noqa: ANN401 - any of the sections
    known = {key.name: str(key.type) for key in fields(_SECTIONS[name])}
    for key, value in values.items():
        origin = origins[name, key]
        _known(key, known, f"{origin}: key {key} in [{name}]")
        if type(value).__name__ != known[key]:
            wanted = _WANTED[known[key]]
            shown = reprlib.repr(value)
            raise SettingsError(f"{origin}: {name}.{key} is {shown}: write {wanted}")
    try:
        return _SECTIONS[name](**values)
    except Exception as error:
        # Each section has an error tree of its own. All of them name the key; where they name two
        # that contradict each other, one that was given is to blame.
        named = [key for key in values if re.search(rf"\b{key}\b", str(error))]
        origin = origins[name, (named or list(values))[0]]
        raise SettingsError(f"{origin}: [{name}] {error}") from error


def _known(name: str, known: Mapping[str, object], what: str) -> None:
    if name in known:
        return
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}?" if near else "known are " + ", ".join(sorted(known))
    raise SettingsError(f"{what} is not known: {hint}")
