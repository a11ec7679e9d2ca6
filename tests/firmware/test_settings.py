"""The configuration: one file, the environment over it, and one line for whatever is wrong."""

from __future__ import annotations

import base64
import tomllib
from dataclasses import asdict, dataclass, fields, is_dataclass
from pathlib import Path

import pytest

from firmware import settings as settings_module
from firmware.errors import SettingsError
from firmware.setting import setting
from firmware.settings import FILE_BYTES_MAX, Settings, describe, load


@dataclass(frozen=True, kw_only=True)
class FlagSettings:
    """A section with a key of each type that there is."""

    loud: bool = setting(False, "whether it is")  # noqa: FBT003 - the default of a key
    name: str = setting("", "its name")
    steps: int = setting(3, "how many", unit="steps")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A place for a configuration."""
    return tmp_path / "toy.toml"


@pytest.fixture
def flags(monkeypatch: pytest.MonkeyPatch) -> None:
    """A configuration that has nothing but `FlagSettings`."""

    @dataclass(frozen=True, kw_only=True)
    class OneSection:
        flags: FlagSettings

    monkeypatch.setattr(settings_module, "Settings", OneSection)
    monkeypatch.setattr(settings_module, "_SECTIONS", {"flags": FlagSettings})


def refused(path: Path | None, **environment: str) -> str:
    """Return the one line that says why a configuration is refused."""
    with pytest.raises(SettingsError) as caught:
        load(path, environment)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message


def test_without_file_and_environment_there_are_the_defaults() -> None:
    """Everything has a default."""
    assert load(None, {}) == Settings()


def test_the_file_takes_precedence_over_the_defaults(file: Path) -> None:
    """Keys that it leaves out keep their default."""
    file.write_text('[voice]\nvolume_percent = 40\n[identity]\ntoy_id = "bear"\n')
    loaded = load(file, {})
    assert (loaded.voice.volume_percent, loaded.identity.toy_id) == (40, "bear")
    assert loaded.voice.volume_percent_max == Settings().voice.volume_percent_max
    assert loaded.cloud == Settings().cloud


def test_the_environment_takes_precedence_over_the_file(file: Path) -> None:
    """Even over a value in the file that could not be used."""
    file.write_text('[voice]\nvolume_percent = "loud"\n[cloud]\nread_timeout_ms = 5\n')
    loaded = load(file, {"POMMAI_VOICE_VOLUME_PERCENT": "50", "HOME": "/root"})
    assert (loaded.voice.volume_percent, loaded.cloud.read_timeout_ms) == (50, 5)


def test_every_key_can_be_given_in_the_environment() -> None:
    """POMMAI_SECTION_KEY, whatever underscores the key has itself."""
    given = {
        f"POMMAI_{section.name}_{key.name}".upper(): str(getattr(value, key.name))
        for section in fields(Settings)
        for value in [getattr(Settings(), section.name)]
        for key in fields(value)
    }
    assert len(given) > 30
    assert load(None, given) == Settings()


def test_the_environment_of_the_process_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without another it is the real one."""
    monkeypatch.setenv("POMMAI_DEVICE_BOARD", "other")
    assert load(None).device.board == "other"


def test_a_missing_file_is_named(file: Path) -> None:
    """A file that was asked for must be there."""
    assert refused(file) == (
        f"{file}: cannot be read: No such file or directory: name a TOML file that can"
    )


def test_a_folder_is_no_configuration(tmp_path: Path) -> None:
    """It cannot be read, and the line says so."""
    assert refused(tmp_path).startswith(f"{tmp_path}: cannot be read: Is a directory")


@pytest.mark.parametrize(
    "content",
    [
        b"[cloud",
        b"url: x",
        b"\xff\xfe[cloud]",
        b"[a]\n[a]\n",
        b"n = " + b"9" * 5_000,
        b"x = " + b"[" * 20_000,
    ],
)
def test_what_is_no_toml_is_refused_naming_the_file(file: Path, content: bytes) -> None:
    """Whatever the bytes are, there is one line and no trace."""
    file.write_bytes(content)
    assert refused(file).startswith(f"{file}: is not TOML: ")


def test_a_file_that_is_too_long_is_not_read_whole(file: Path) -> None:
    """Somebody gave a recording or a disk image."""
    file.write_bytes(b"#" * (FILE_BYTES_MAX + 1))
    assert refused(file) == (
        f"{file}: is longer than {FILE_BYTES_MAX} bytes: is it the right file?"
    )
    file.write_bytes(b"#" * FILE_BYTES_MAX)
    assert load(file, {}) == Settings()


def test_an_unknown_section_is_refused_with_the_nearest_name(file: Path) -> None:
    """A misspelt section would otherwise do nothing, silently."""
    file.write_text("[vioce]\nvolume_percent = 40\n")
    assert refused(file) == f"{file}: section [vioce] is not known: did you mean voice?"


def test_an_unknown_section_like_none_is_refused_with_all_names(file: Path) -> None:
    """Where nothing is near, all that is known is told."""
    file.write_text("[qqq]\n")
    assert refused(file) == (
        f"{file}: section [qqq] is not known: "
        "known are audio, cloud, device, identity, metrics, sound, store, stream, voice"
    )


def test_an_unknown_key_is_refused_with_the_nearest_name(file: Path) -> None:
    """File, section and key are named."""
    file.write_text("[voice]\nvolume_percentage = 40\n")
    assert refused(file) == (
        f"{file}: key volume_percentage in [voice] is not known: did you mean volume_percent?"
    )


def test_a_secret_written_where_it_does_not_belong_is_not_repeated(file: Path) -> None:
    """Who writes the secret itself into the file is told the key, and nobody the secret."""
    file.write_text('[identity]\nsecret = "tell-nobody"\n')
    message = refused(file)
    assert "did you mean secret_file?" in message
    assert "tell-nobody" not in message
    message = refused(None, POMMAI_IDENTITY_SECRET="tell-nobody")  # noqa: S106 - the point
    assert "did you mean POMMAI_IDENTITY_SECRET_FILE?" in message
    assert "tell-nobody" not in message


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ('volume_percent = "40"', "voice.volume_percent is '40': write a whole number"),
        ("volume_percent = 40.0", "voice.volume_percent is 40.0: write a whole number"),
        ("volume_percent = true", "voice.volume_percent is True: write a whole number"),
        ("volume_percent = [40]", "voice.volume_percent is [40]: write a whole number"),
        ("volume_percent = {}", "voice.volume_percent is {}: write a whole number"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused(file: Path, line: str, wanted: str) -> None:
    """Nothing is guessed: the value is shown, and what should stand there."""
    file.write_text(f"[voice]\n{line}\n")
    assert refused(file) == f"{file}: {wanted}"


def test_a_text_must_be_in_quotes(file: Path) -> None:
    """A number is no address."""
    file.write_text("[cloud]\nurl = 3\n")
    assert refused(file) == f"{file}: cloud.url is 3: write text in quotes"


def test_a_long_value_is_not_repeated_whole(file: Path) -> None:
    """One line stays one line that a person can read."""
    file.write_text(f"[voice]\nvolume_percent = {list(range(5_000))}\n")
    assert len(refused(file)) < 200


@pytest.mark.parametrize("content", ["voice = 3\n", "[[voice]]\nvolume_percent = 3\n"])
def test_a_section_that_is_no_table_is_refused(file: Path, content: str) -> None:
    """What to write instead is told."""
    file.write_text(content)
    assert refused(file) == (f"{file}: voice must be a section: write [voice] and its keys below")


@pytest.mark.parametrize(
    ("section", "line", "named"),
    [
        ("voice", "volume_percent = 101", "volume_percent is 101: give 0 to 100"),
        ("cloud", "read_timeout_ms = 0", "read_timeout_ms: 0 ms: must be above 0"),
        ("stream", "uplink_frames_max = 0", "uplink_frames_max is 0: give 1 or more"),
        ("cloud", "retry_delay_ms_max = 5", "must not exceed retry_delay_ms_max"),
        ("stream", "retry_delay_ms_min = 90_000", "retry_delay_ms_min is 90000"),
    ],
)
def test_a_value_out_of_range_is_refused_naming_file_section_and_key(
    file: Path, section: str, line: str, named: str
) -> None:
    """Each section checks its own ranges; the line says where the value stands."""
    file.write_text(f"[{section}]\n{line}\n")
    message = refused(file)
    assert message.startswith(f"{file}: [{section}] ")
    assert named in message


def test_a_value_out_of_range_names_the_variable_it_came_from(file: Path) -> None:
    """Not the file, which may hold other keys of the same section."""
    file.write_text("[voice]\nvolume_percent_max = 80\ngate_strictness = 2\n")
    message = refused(file, POMMAI_VOICE_VOLUME_PERCENT="-1")
    assert message.startswith("POMMAI_VOICE_VOLUME_PERCENT: [voice] ")


def test_an_unknown_variable_is_refused_with_the_nearest_name() -> None:
    """A misspelt variable would otherwise do nothing, silently."""
    assert refused(None, POMMAI_CLOUD_ULR="x") == (
        "environment variable POMMAI_CLOUD_ULR is not known: did you mean POMMAI_CLOUD_URL?"
    )


def test_a_variable_that_is_no_number_is_refused() -> None:
    """The variable is named, and what it holds."""
    assert refused(None, POMMAI_CLOUD_READ_TIMEOUT_MS="soon") == (
        "POMMAI_CLOUD_READ_TIMEOUT_MS is 'soon': write a whole number"
    )


@pytest.mark.usefixtures("flags")
@pytest.mark.parametrize(
    ("text", "value"), [("true", True), ("Yes", True), ("1", True), ("FALSE", False), ("no", False)]
)
def test_a_flag_in_the_environment_is_a_word(text: str, *, value: bool) -> None:
    """The words that people write."""
    loaded = settings_module.load(None, {"POMMAI_FLAGS_LOUD": text})
    assert loaded.flags.loud is value  # type: ignore[attr-defined]


@pytest.mark.usefixtures("flags")
def test_a_flag_that_is_neither_yes_nor_no_is_refused(file: Path) -> None:
    """Nothing counts as a flag but itself."""
    assert refused(None, POMMAI_FLAGS_LOUD="maybe") == (
        "POMMAI_FLAGS_LOUD is 'maybe': write true or false"
    )
    file.write_text("[flags]\nloud = 1\n")
    assert refused(file) == f"{file}: flags.loud is 1: write true or false"


def test_the_description_is_a_configuration_that_holds_the_defaults(file: Path) -> None:
    """It can be saved, changed and used; every key tells what it means."""
    file.write_text(describe())
    assert load(file, {}) == Settings()
    assert tomllib.loads(describe()).keys() == {section.name for section in fields(Settings)}
    for line in describe().splitlines():
        assert not line or line.startswith("[") or "  # " in line


def test_the_description_gives_units() -> None:
    """A figure without a unit means nothing."""
    assert "read_timeout_ms = 8000  # longest silence in an answer [ms]" in describe()


def test_every_duration_and_size_has_a_unit() -> None:
    """Whatever is counted says in what."""
    for section in fields(Settings):
        for key in fields(getattr(Settings(), section.name)):
            if key.name.endswith(("_ms", "_ms_max", "_ms_min", "_bytes_max", "_percent")):
                assert key.metadata["unit"], key.name


def test_the_fingerprint_changes_with_any_key_and_with_nothing_else() -> None:
    """A journal says under which configuration it was written."""
    voice = load(None, {"POMMAI_VOICE_VOLUME_PERCENT": "59"})
    assert Settings().digest() == load(None, {}).digest()
    assert voice.digest() != Settings().digest()
    assert len(voice.digest()) == 16
    assert int(voice.digest(), 16)


def test_no_key_holds_a_secret() -> None:
    """What is shown, logged or hashed of a configuration cannot leak one: only a path is there."""
    keys = [key for section in asdict(Settings()).values() for key in section]
    assert [key for key in keys if "secret" in key or "token" in key] == ["secret_file"]
    assert all(is_dataclass(getattr(Settings(), section.name)) for section in fields(Settings))


def test_a_guardians_key_is_checked_where_it_is_given() -> None:
    """A toy with a key that cannot be one would never be released."""
    key = base64.b64encode(bytes(32)).decode()
    assert load(None, {"POMMAI_IDENTITY_GUARDIAN_KEY": key}).identity.guardian_key == key
    with pytest.raises(SettingsError, match=r"POMMAI_IDENTITY_GUARDIAN_KEY: .* guardian_key: must"):
        load(None, {"POMMAI_IDENTITY_GUARDIAN_KEY": "AAAA"})
