"""Guardian commands: each becomes one event, in the cloud's order, and is answered once."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING, Final

from firmware.cloud.command import Command
from firmware.cloud.errors import MalformedError
from firmware.cloud.in_force import Mute, Volume
from firmware.errors import NoteError
from firmware.store.record import ACKNOWLEDGE_FUNCTION, REPORT_FUNCTION

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from firmware.cloud.command import Stamp
    from firmware.cloud.guardian_key import GuardianKey
    from firmware.cloud.in_force import InForce
    from firmware.ports import Outlet, PerformEffect, Post
    from states.events import FieldValue
    from states.machine import Step

ROWS_MAX: Final = 100
"""Open commands that are looked at; the cloud sends the oldest first, and what is answered goes."""
PATIENT_MAX: Final = 16
"""Commands under way that may have to wait for the end of a turn: the loop keeps no more than twice
as many. Others are taken when one of them is answered."""

_FAMILIES: Final = {"mute": "mute", "unmute": "mute", "volume": "volume", "switchToy": "toy"}
"""Kinds of which only the last one counts. Of what locks and releases each counts: ids decide."""
_KEPT: Final = frozenset({"mute", "unmute", "volume"})
_PATIENT: Final = frozenset({"say", "switchToy", "reboot", "update", "erase"})

_log = logging.getLogger(__name__)


class Commands:
    """Takes what ``devices:commands`` says; performs ``acknowledge`` and ``set_volume``.

    The query gives the rows that are open, again and again, until each is answered. A row becomes
    an event once: while it is under way it is remembered here, and once it is answered, by the
    outlet. One that is older than what is in force already is answered ``superseded``; the rest is
    for the table to decide.

    The last mute and the last volume outlive a restart, and are answered only when they would.

    Args:
        device_id: Who we are, which signatures of releases name.
        in_force: Where the last mute and the last volume are kept.
        guardian_key: The key that releases must be signed with; None where none was enrolled.
        set_volume: Sets the volume, in percent of what is allowed.
        switch: Takes a ``switchToy``, and posts its event when the other toy was found.
        toy_stamp: The command that chose the present toy, if one did.
    """

    def __init__(  # noqa: PLR0913 - its parts, each named where it is made
        self,
        device_id: str,
        *,
        post: Post,
        outlet: Outlet,
        in_force: InForce,
        guardian_key: GuardianKey | None,
        set_volume: Callable[[int], None],
        switch: Callable[[Command], None],
        toy_stamp: Stamp | None,
    ) -> None:
        self.malformed = 0
        """Rows, and whole answers, that could not be used and not even be answered."""
        self._device_id = device_id
        self._post = post
        self._outlet = outlet
        self._in_force = in_force
        self._guardian_key = guardian_key
        self._set_volume_percent = set_volume
        self._switch = switch
        self._newest: dict[str, Stamp] = {} if toy_stamp is None else {"toy": toy_stamp}
        self._open: list[Command] = []  # as the cloud last said, in order
        self._under_way: dict[str, Command] = {}
        self._deferred: set[str] = set()
        self._saving: set[asyncio.Task[None]] = set()

    @property
    def effects(self) -> Mapping[str, PerformEffect]:
        """The effects it performs."""
        return {"acknowledge": self.acknowledge, "set_volume": self._set_volume}

    async def start(self) -> None:
        """Put into force again what was before the restart; once, before anything is received."""
        await self._in_force.load()
        mute, volume = self._in_force.mute, self._in_force.volume
        if volume is not None:
            self._newest["volume"] = volume.stamp
            self._set_volume_percent(volume.percent)
        if mute is not None:
            self._newest["mute"] = mute.stamp
            if mute.muted:
                self._post("mute", command=mute.stamp.command)

    def receive(self, value: object) -> None:
        """Take what the cloud sent: any plain value, as often as it likes."""
        if not isinstance(value, list):
            self._note_malformed("is no list")
            return
        by_id: dict[str, Command] = {}
        for row in value[:ROWS_MAX]:
            try:
                command = Command.parse(row)
            except MalformedError as error:
                self._note_malformed(str(error))
            else:
                by_id.setdefault(command.id, command)
        self._open = sorted(by_id.values(), key=lambda command: command.stamp)
        self._take_open()

    def words_of(self, command: str) -> str | None:
        """Return what a ``say`` that is under way wants spoken; None if it is none.

        For whoever performs ``say``, while performing it: afterwards the words are gone. No event
        carries them, since events are journalled whole; so this is the only way to them.
        """
        known = self._under_way.get(command)
        return None if known is None or known.kind != "say" else known.words

    def minutes_of(self, command: str) -> int | None:
        """Return how much longer an ``extend`` that is under way allows; None if it is none.

        For whoever performs ``extend``, likewise: its event carries the command's id alone.
        """
        known = self._under_way.get(command)
        return None if known is None or known.kind != "extend" else known.minutes

    def acknowledge(
        self, command: str, outcome: str, details: Mapping[str, object] | None = None
    ) -> None:
        """Tell the cloud what became of a command, with details in plain JSON if there are any.

        What must outlive a restart is made durable first.
        """
        known = self._under_way.get(command)
        if known is None and command == self._restored:
            return  # it was posted by `start`, and answered before the restart
        if known is not None and outcome == "done" and known.kind in _KEPT:
            self._keep(known)
        else:
            self._answer(command, outcome, details)

    def after(self, step: Step) -> None:
        """Note what the loop keeps for later, and answer what it forgets; its observer."""
        asked = {effect.name for effect in step.effects}
        if "forget" in asked:
            for command in sorted(self._deferred):
                self._answer(command, "superseded")
        if asked & {"forget", "recall"}:
            self._deferred.clear()
        deferred = step.event.fields.get("command")
        if "defer" in asked and isinstance(deferred, str):
            self._deferred.add(deferred)

    async def close(self) -> None:
        """Finish what is being made durable."""
        if self._saving:
            await asyncio.wait(self._saving)
        self._in_force.close()

    @property
    def _restored(self) -> str:
        mute = self._in_force.mute
        return mute.stamp.command if mute is not None and mute.muted else ""

    def _take_open(self) -> None:
        for command in self._open:
            is_known = command.id in self._under_way or self._outlet.knows(_record_of(command.id))
            if not is_known and not self._must_wait(command):
                self._take(command)

    def _must_wait(self, command: Command) -> bool:
        patient = [known for known in self._under_way.values() if known.kind in _PATIENT]
        return command.kind in _PATIENT and len(patient) >= PATIENT_MAX

    def _take(self, command: Command) -> None:
        family = _FAMILIES.get(command.kind, "")
        if not command.event:
            self._put(command.id, "unsupported")
        elif not command.is_usable:
            self._put(command.id, "failed", {"reason": "malformed"})
        elif family and command.stamp < self._newest.get(family, command.stamp):
            self._put(command.id, "superseded")
        else:
            self._under_way[command.id] = command
            if family:
                self._newest[family] = command.stamp
            if command.kind == "switchToy":
                self._switch(command)
            else:
                self._post(command.event, command=command.id, **self._fields_of(command))

    def _fields_of(self, command: Command) -> Mapping[str, FieldValue]:
        if command.kind != "release":
            return command.fields
        lock_id = str(command.fields["lock_id"])
        if self._guardian_key is None or self._guardian_key.has_signed(
            self._device_id, lock_id, command.signature
        ):
            return {**command.fields, "via": "subscription"}
        _log.warning("a release is not signed with the guardian's key: it is refused")
        self._outlet.put(
            REPORT_FUNCTION,
            {
                "eventType": "release_unsigned",
                "details": {"lockId": lock_id, "commandId": command.id},
                "isUrgent": True,
            },
            urgent=True,
            record_id=f"release-unsigned-{command.id}",
        )
        return {**command.fields, "via": "unverified"}

    def _set_volume(self, command: str) -> None:
        self._set_volume_percent(self._under_way[command].percent)

    def _keep(self, command: Command) -> None:
        """Make what a command put into force durable, then answer it."""
        if command.kind == "volume":
            self._in_force.volume = Volume(command.stamp, command.percent)
        else:
            self._in_force.mute = Mute(command.stamp, muted=command.kind == "mute")
        task = asyncio.create_task(self._save(command.id), name="what is in force")
        self._saving.add(task)
        task.add_done_callback(self._saving.discard)

    async def _save(self, command: str) -> None:
        try:
            await self._in_force.save()
        except NoteError as error:
            _log.error("%s: what holds now does not outlive a restart", error)
            self._answer(command, "done", {"durable": False})
        else:
            self._answer(command, "done")

    def _answer(
        self, command: str, outcome: str, details: Mapping[str, object] | None = None
    ) -> None:
        self._put(command, outcome, details)
        self._under_way.pop(command, None)
        self._open = [other for other in self._open if other.id != command]
        self._take_open()

    def _put(self, command: str, outcome: str, details: Mapping[str, object] | None = None) -> None:
        arguments: dict[str, object] = {"commandId": command, "outcome": outcome}
        record_id = _record_of(command)
        put = partial(self._outlet.put, ACKNOWLEDGE_FUNCTION, urgent=True, record_id=record_id)
        put({**arguments, "details": dict(details)} if details else arguments)
        if details and not self._outlet.knows(record_id):
            # It was too long. Unanswered, the command would be carried out again and again.
            put({**arguments, "outcome": "failed"})

    def _note_malformed(self, problem: str) -> None:
        self.malformed += 1
        if self.malformed == 1:
            _log.warning("guardian commands that cannot be used are left: %s", problem)


def _record_of(command: str) -> str:
    return f"ack-{command}"
