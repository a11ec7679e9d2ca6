from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from devcloud.errors import SettingsError
from devcloud.settings import Settings

if TYPE_CHECKING:
    from tests.devcloud.json_type import Json


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("port", -1),
        ("port", 65_536),
        ("device_id", ""),
        ("device_id", "x" * 129),
        ("device_secret", "geheim\n"),
        ("toy_id", "bär"),
        ("token_lifetime_s", 0.0),
        ("token_lifetime_s", math.inf),
        ("token_lifetime_s", math.nan),
        ("upload_lifetime_s", 0.0),
    ],
)
def test_a_setting_that_cannot_be_is_refused_by_name(name: str, value: Json) -> None:
    with pytest.raises(SettingsError, match=name):
        Settings(**{name: value})


def test_an_unknown_signing_algorithm_is_refused_and_the_nearest_named() -> None:
    with pytest.raises(SettingsError, match="did you mean 'RS256'"):
        Settings(signing_algorithm="RS265")
