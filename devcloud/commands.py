"""A guardian's commands: issued by the control API, shown to their device until acknowledged.

A command is an object with ``commandId``, ``issuedAt`` (milliseconds since 1970, rising), ``kind``,
``toyId`` (null: whichever toy the device is) and what its kind needs::

    lock, stop, mute, unmute, reboot, update, erase, export
    pause {durationS}        release {lockId, signature?}    say {text}
    volume {percent}         extend {minutes}                switchToy {toyId}
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from devcloud.errors import SettingsError, UnknownNameError

if TYPE_CHECKING:
    import sqlite3

    from devcloud.database import Database
    from devcloud.json_text import JsonObject, JsonValue

DAY_S: Final = 24 * 3600
DAY_MINUTES: Final = 24 * 60
PERCENT_MAX: Final = 100
TEXT_CHARS_MAX: Final = 500
ID_CHARS_MAX: Final = 128

OUTCOMES: Final = (
    *("done", "already", "refused", "replaced", "superseded", "unsupported", "failed"),
)
"""What a device may say became of a command."""

OBEYED: Final = frozenset({"done", "already"})
"""After these, things are as the command wanted them."""


class Commands:
    """The commands of a deployment. What writes is called within a transaction of it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def issue(
        self, device_id: str, command: JsonObject, now_ms: int, *, checked: bool = True
    ) -> JsonObject:
        """Issue a command and return it, with what was left out of it.

        ``commandId`` and ``issuedAt`` are drawn and taken from the clock unless they are given.
        Not ``checked``, anything goes: that is how a device meets what it does not know.

        Raises:
            SettingsError: no command can be like that, or there is one of that id.
        """
        if checked:
            _check(command)
        last = self._database.row(
            "SELECT max(json_extract(command, '$.issuedAt')) AS issued_at FROM commands"
            " WHERE json_type(command, '$.issuedAt') IN ('integer', 'real')"
        )
        latest = last["issued_at"] if last else None
        command = {
            "commandId": uuid.uuid4().hex,
            "issuedAt": now_ms if latest is None else max(now_ms, int(latest) + 1),
            "toyId": None,
            **command,
        }
        command_id = command["commandId"]
        if not isinstance(command_id, str) or self.device_of(command_id):
            raise SettingsError("commandId: must be a text that no other command has")
        self._database.write(
            "INSERT INTO commands (command_id, device_id, command) VALUES (?, ?, ?)",
            *(command_id, device_id, json.dumps(command)),
        )
        return command

    def open(self, device_id: str) -> list[JsonObject]:
        """List the commands that a device has not acknowledged, oldest first."""
        rows = self._database.rows(
            "SELECT command FROM commands WHERE device_id = ? AND outcome IS NULL ORDER BY number",
            device_id,
        )
        return [json.loads(row["command"]) for row in rows]

    def device_of(self, command_id: str) -> str | None:
        """Say whose command that is; None if there is none."""
        row = self._find(command_id)
        return row["device_id"] if row else None

    def acknowledge(self, command_id: str, outcome: str) -> JsonObject | None:
        """Note what became of a command and return it; None for one that was acknowledged before.

        It must be there. The first acknowledgement counts.
        """
        row = self._find(command_id)
        changed = self._database.write(
            "UPDATE commands SET outcome = ? WHERE command_id = ? AND outcome IS NULL",
            *(outcome, command_id),
        )
        command: JsonObject | None = json.loads(row["command"]) if row and changed else None
        return command

    def to_json(self) -> list[JsonObject]:
        """Write all commands as the control API shows them, with every acknowledgement."""
        acknowledgements: dict[str, list[JsonValue]] = {}
        for row in self._database.rows(
            "SELECT arguments, received_at FROM records WHERE place = 'acks' ORDER BY arrival"
        ):
            arguments: JsonObject = json.loads(row["arguments"])
            acknowledgements.setdefault(str(arguments["commandId"]), []).append(
                {
                    "recordId": arguments["recordId"],
                    "outcome": arguments["outcome"],
                    "details": arguments.get("details"),
                    "receivedAt": row["received_at"],
                }
            )
        return [
            {
                **json.loads(row["command"]),
                "deviceId": row["device_id"],
                "outcome": row["outcome"],
                "acknowledgements": acknowledgements.get(row["command_id"], []),
            }
            for row in self._database.rows("SELECT * FROM commands ORDER BY number")
        ]

    def _find(self, command_id: str) -> sqlite3.Row | None:
        return self._database.row("SELECT * FROM commands WHERE command_id = ?", command_id)


class _Field(NamedTuple):
    """A field of a command: what may stand there, that in words, and whether it must be there."""

    allows: Callable[[JsonValue], bool]
    wanted: str
    required: bool = True


def _check(command: JsonObject) -> None:
    kind = command.get("kind")
    if not isinstance(kind, str):
        raise SettingsError(f"kind: must be one of {', '.join(_KINDS)}")
    if kind not in _KINDS:
        raise UnknownNameError("kind of command", kind, _KINDS)
    fields = {**_COMMON, **_KINDS[kind]}
    for name, value in command.items():
        if name not in fields:
            raise UnknownNameError(f"field of {kind}", name, fields)
        if not fields[name].allows(value):
            raise SettingsError(f"{name}: must be {fields[name].wanted}")
    for name, field in fields.items():
        if field.required and name not in command:
            raise SettingsError(f"{name}: is missing; it must be {field.wanted}")


def _text(chars_max: int, *, required: bool = True) -> _Field:
    return _Field(
        lambda value: isinstance(value, str) and 0 < len(value) <= chars_max,
        f"1 to {chars_max} characters",
        required,
    )


def _number(least: float, most: float, unit: str) -> _Field:
    return _Field(
        lambda value: (
            isinstance(value, int | float)
            and not isinstance(value, bool)
            and least <= value <= most
        ),
        f"{least} to {most} {unit}",
    )


_COMMON: Final[Mapping[str, _Field]] = {
    "kind": _text(ID_CHARS_MAX),
    "commandId": _text(ID_CHARS_MAX, required=False),
    "issuedAt": _number(0, 2**53, "milliseconds since 1970")._replace(required=False),
    "toyId": _Field(
        lambda value: value is None or (isinstance(value, str) and bool(value)),
        "null or a toy's id",
        required=False,
    ),
}

_KINDS: Final[Mapping[str, Mapping[str, _Field]]] = {
    "lock": {},
    "pause": {"durationS": _number(1, DAY_S, "seconds")},
    "release": {
        "lockId": _text(ID_CHARS_MAX),
        "signature": _text(TEXT_CHARS_MAX, required=False),
    },
    "stop": {},
    "say": {"text": _text(TEXT_CHARS_MAX)},
    "volume": {"percent": _number(0, PERCENT_MAX, "percent")},
    "mute": {},
    "unmute": {},
    "extend": {"minutes": _number(1, DAY_MINUTES, "minutes")},
    "reboot": {},
    "switchToy": {"toyId": _text(ID_CHARS_MAX)},
    "update": {},
    "erase": {},
    "export": {},
}
