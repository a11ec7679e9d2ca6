"""Whatever the cloud and the gateway say, a locked toy stays locked until its own release comes.

The real machine, driven by the real loop, stream and commands; only the network is left out.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from firmware.cloud.cache import ConfigurationCache
from firmware.cloud.commands import ROWS_MAX, Commands
from firmware.cloud.guardian_key import GuardianKey
from firmware.cloud.in_force import InForce
from firmware.cloud.versions import ConfigurationVersions
from firmware.loop import Loop
from firmware.store.note import Note
from firmware.stream.codec import Codec
from firmware.stream.dialects.binary import BinaryCodec
from firmware.stream.dialects.gateway import GatewayCodec
from firmware.stream.dialects.seed import SeedCodec
from firmware.stream.messages import Dropped
from firmware.stream.settings import StreamSettings
from firmware.stream.stream import Stream
from firmware.stream.turn import Turn
from firmware.voice.playback import Playback
from firmware.voice.settings import VoiceSettings
from hardware.clock import Clock
from hardware.sim.clock import run_virtual
from hardware.sim.speaker import VirtualSpeaker
from states.machine import Core, Step
from tests import hostile
from tests.firmware.cloud.examples import CONFIGURATION
from tests.firmware.cloud.rows import RIGHT, row
from tests.firmware.outlets import KeptOutlet
from tests.firmware.test_parsers import BINARY, GATEWAY, SEED
from tests.states.scenario import Toy

if TYPE_CHECKING:
    from hardware.speaker import Source

LOCKED: Final = "safety_lockout."
TURNS: Final = 8
"""Of the loop, in which what comes of an event happens."""
DEVICE: Final = "dev-1"
PRIVATE: Final = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
ANOTHER: Final = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
PUBLIC: Final = base64.b64encode(PRIVATE.public_key().public_bytes_raw()).decode()
CODECS: Final[dict[str, Callable[[], Codec]]] = {
    "seed": SeedCodec,
    "gateway": GatewayCodec,
    "binary": BinaryCodec,
}
LOCK: Final = Toy.locked().lock_id


def signed(text: str, key: Ed25519PrivateKey = PRIVATE) -> str:
    """Return a signature as a guardian's app makes it."""
    return base64.b64encode(key.sign(text.encode())).decode()


RIGHT_SIGNATURE: Final = signed(f"pommai-release\n{DEVICE}\n{LOCK}")


class Recording:
    """Keeps every step."""

    def __init__(self) -> None:
        self.steps: list[Step] = []

    def record(self, step: Step) -> None:
        """Keep a step."""
        self.steps.append(step)


@dataclass(frozen=True)
class Said:
    """Something that is said to the toy: by the gateway in a dialect, or as a query's value."""

    by: str
    what: Any


class LockedToy:
    """The parts that hear the world, around a machine that is locked."""

    def __init__(self, core: Core, key: GuardianKey | None) -> None:
        self.recording = Recording()
        self.clock = Clock()
        self.loop = Loop(core, self.recording, self.clock, "b")
        self._playback = Playback(VoiceSettings(), self.clock, self.loop.post, self._speaker)
        self._stream = Stream(
            StreamSettings(url="ws://localhost/"),
            DEVICE,
            "toy-1",
            self.clock,
            self.loop.post,
            self._playback,
            Random(1),  # noqa: S311 - the same in every run
        )
        self._stream._turn = Turn(2, 1, packets=1, is_flushed=True)
        self.commands = Commands(
            DEVICE,
            post=self.loop.post,
            outlet=KeptOutlet(),
            in_force=InForce(Note(Path("nowhere") / "in-force")),
            guardian_key=key,
            set_volume=lambda _: None,
            switch=lambda command: self.loop.post("switch_toy", command=command.id),
            toy_stamp=None,
        )
        cache = ConfigurationCache(Path("nowhere") / "cache", "toy-1")
        self._versions = ConfigurationVersions(cache, post=self.loop.post, on_configuration=())
        self.loop.add(self.commands)
        self.loop.add(self._versions)
        self.loop.observers.append(self.commands.after)

    @property
    def leaf(self) -> str:
        """Where it is."""
        return self.loop.core.situation.leaf

    async def hears(self, said: Said) -> None:
        """Let it hear something, to the end of what comes of it."""
        match said.by:
            case "commands":
                self.commands.receive(said.what)
            case "configuration":
                self._versions.receive(said.what)
            case dialect:
                message = CODECS[dialect]().receive(said.what)
                if not isinstance(message, Dropped):
                    self._stream.link_received(message)
        for _ in range(len(self.loop._queue) + TURNS):
            await asyncio.sleep(0)
        assert not self.loop._queue

    async def close(self) -> None:
        """End it."""
        self.loop.close()
        await self._stream.close()
        await self.commands.close()
        await self._versions.close()
        self._playback.close()

    def _speaker(self, source: Source) -> VirtualSpeaker:
        return VirtualSpeaker(self.clock, source)


NEARLY: Final = (
    LOCK + " ",
    LOCK.upper() + "x",
    LOCK[:-1],
    f"{LOCK}\n",
    "",
    "*",
    [LOCK],
    {"lockId": LOCK},
    None,
    True,
    0,
)
UNSIGNED: Final = (
    None,
    "",
    RIGHT_SIGNATURE[:-4],
    RIGHT_SIGNATURE + "==",
    [RIGHT_SIGNATURE],
    base64.b64encode(bytes(64)).decode(),
    signed(f"pommai-release\n{DEVICE}\n{LOCK}", ANOTHER),
    signed(f"pommai-release\nanother\n{LOCK}"),
    signed(f"pommai-release\n{DEVICE}\nanother"),
    signed(f"pommai-release\n{DEVICE}\n{LOCK}\n"),
    signed(LOCK),
)


def _rows(*releases: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Return values of ``devices:commands``, with one of these releases among the other kinds."""
    others = [row(kind, f"c-{kind}") for kind in RIGHT if kind != "release"]
    lists = [[*others, release] for release in releases]
    whole = st.lists(st.sampled_from([*others, *releases]), max_size=5, unique_by=id)
    return whole | hostile.values(*lists, *releases)


def _wordings() -> list[dict[str, Any]]:
    """Return what a gateway might say to release a toy, if only it could."""
    words = ("release", "unlock", "resume", "pause", "reset", "reboot", "erase")
    more = {"lockId": LOCK, "lock_id": LOCK, "via": "subscription", "signature": RIGHT_SIGNATURE}
    found: list[dict[str, Any]] = []
    for word in words:
        found += [
            {"type": "command", "command": word, "duration": 0, **more},
            {"type": "command", "payload": {"command": word, "duration": 0, **more}},
            {"type": "safety_override", "action": word, "duration": 0, **more},
            {"type": word, **more},
        ]
    return found


def _messages() -> st.SearchStrategy[Said]:
    examples = {
        "seed": (*SEED, *_wordings()),
        "gateway": (*GATEWAY, *_wordings()),
        "binary": (*BINARY, *_wordings()),
    }
    texts = [
        st.builds(
            Said,
            st.just(dialect),
            st.sampled_from([json.dumps(example) for example in of])
            | hostile.json_texts(*of).map(lambda content: content.decode("utf-8", "replace")),
        )
        for dialect, of in examples.items()
    ]
    return st.one_of(*texts, st.builds(Said, st.just("binary"), st.binary(max_size=80)))


def _values(rows: st.SearchStrategy[Any]) -> st.SearchStrategy[Said]:
    configurations = hostile.values(CONFIGURATION) | st.just(CONFIGURATION)
    return st.builds(Said, st.just("commands"), rows) | st.builds(
        Said, st.just("configuration"), configurations
    )


def _is_right(value: object, *, needs_signature: bool) -> bool:
    """Tell whether a value of ``devices:commands`` has the release of this very lock in it."""
    return isinstance(value, list) and any(
        isinstance(one, dict)
        and one.get("kind") == "release"
        and one.get("lockId") == LOCK
        and (not needs_signature or one.get("signature") == RIGHT_SIGNATURE)
        for one in value[:ROWS_MAX]
    )


NOT_THIS: Final = tuple(
    row("release", f"c-{index}", lockId=lock_id, via="subscription")
    for index, lock_id in enumerate(NEARLY)
)
NOT_SIGNED: Final = tuple(
    row("release", f"c-{index}", lockId=LOCK, signature=signature, via="subscription")
    for index, signature in enumerate(UNSIGNED)
)


@pytest.mark.parametrize("start", [Toy.locked, Toy.paused])
@pytest.mark.parametrize("is_enrolled", [False, True])
def test_nothing_but_the_release_of_its_lock_frees_a_toy(start: Any, is_enrolled: bool) -> None:  # noqa: ANN401, FBT001 - a classmethod; a parameter
    """In any dialect and by any query, in any order; and then the release does."""
    toy = start()
    assert toy.lock_id == LOCK
    core = Core(toy.situation)  # one for all: it takes long to build
    key = GuardianKey(PUBLIC) if is_enrolled else None
    rows = _rows(*NOT_THIS, *NOT_SIGNED) if is_enrolled else _rows(*NOT_THIS)

    @settings(max_examples=200, deadline=None)
    @given(st.lists(_messages() | _values(rows), min_size=1, max_size=8))
    def judged(said: list[Said]) -> None:
        assume(not any(_is_right(one.what, needs_signature=is_enrolled) for one in said))
        run_virtual(main(said))

    async def main(said: list[Said]) -> None:
        core._position.state, core._position.context = toy.situation
        locked = LockedToy(core, key)
        for one in said:
            await locked.hears(one)
            assert locked.leaf.startswith(LOCKED), one
        asked = {effect.name for step in locked.recording.steps for effect in step.effects}
        assert "clear_lock" not in asked
        assert not locked.loop.failures
        lock = locked.loop.core.situation.context.lock
        assert lock is not None
        release = row("release", "the-right-one", lockId=lock.id, signature=_signature(lock.id))
        await locked.hears(Said("commands", [release]))
        assert not locked.leaf.startswith(LOCKED)
        await locked.close()

    judged()


def _signature(lock_id: str) -> str:
    return signed(f"pommai-release\n{DEVICE}\n{lock_id}")
