from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from devcloud.commands import Commands
from devcloud.database import Database
from devcloud.errors import SettingsError

if TYPE_CHECKING:
    from tests.devcloud.json_type import Json

NOW_MS = 1_000_000


def issue(commands: Commands, **command: Json) -> dict[str, Json]:
    issued: dict[str, Json] = commands.issue("device", command, NOW_MS)
    return issued


def test_commands_are_shown_to_their_device_oldest_first_until_acknowledged() -> None:
    commands = Commands(Database())
    first, second = issue(commands, kind="lock"), issue(commands, kind="say", text="hello")
    assert commands.open("device") == [first, second]
    assert commands.open("other") == []
    assert commands.acknowledge(first["commandId"], "done") == first
    assert commands.open("device") == [second]


def test_the_time_of_issue_rises_though_the_clock_stands_still() -> None:
    commands = Commands(Database())
    issued = [issue(commands, kind="stop")["issuedAt"] for _ in range(3)]
    assert issued == [NOW_MS, NOW_MS + 1, NOW_MS + 2]


def test_the_first_acknowledgement_counts() -> None:
    commands = Commands(Database())
    command_id = issue(commands, kind="lock")["commandId"]
    commands.acknowledge(command_id, "done")
    assert commands.acknowledge(command_id, "failed") is None
    (shown,) = commands.to_json()
    assert (shown["outcome"], shown["deviceId"]) == ("done", "device")


def test_an_id_and_a_time_may_be_given() -> None:
    commands = Commands(Database())
    issued = issue(commands, kind="lock", commandId="c-1", issuedAt=5)
    assert (issued["commandId"], issued["issuedAt"], issued["toyId"]) == ("c-1", 5, None)
    with pytest.raises(SettingsError, match="no other command"):
        issue(commands, kind="lock", commandId="c-1")


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ({}, "kind: must be one of lock, pause"),
        ({"kind": 3}, "kind: must be one of lock, pause"),
        ({"kind": "relaese"}, "did you mean 'release'"),
        ({"kind": "release"}, "lockId: is missing"),
        ({"kind": "release", "lockid": "x"}, "did you mean 'lockId'"),
        ({"kind": "volume", "percent": 101}, "percent: must be 0 to 100 percent"),
        ({"kind": "volume", "percent": True}, "percent: must be 0 to 100 percent"),
        ({"kind": "pause", "durationS": 0}, "durationS: must be 1 to 86400 seconds"),
        ({"kind": "extend", "minutes": "5"}, "minutes: must be 1 to 1440 minutes"),
        ({"kind": "say", "text": ""}, "text: must be 1 to 500 characters"),
        ({"kind": "lock", "toyId": 3}, "toyId: must be null or a toy's id"),
        ({"kind": "switchToy"}, "toyId: is missing"),
    ],
)
def test_no_command_can_be_like_that(command: dict[str, Json], says: str) -> None:
    commands = Commands(Database())
    with pytest.raises(SettingsError, match=says):
        commands.issue("device", command, NOW_MS)
    assert commands.to_json() == []


def test_unchecked_anything_goes_and_harms_nobody_after_it() -> None:
    commands = Commands(Database())
    odd: Json = {"kind": "dance", "issuedAt": "yesterday"}
    issued = commands.issue("device", odd, NOW_MS, checked=False)
    assert (issued["kind"], issued["issuedAt"]) == ("dance", "yesterday")
    assert issue(commands, kind="lock")["issuedAt"] == NOW_MS
