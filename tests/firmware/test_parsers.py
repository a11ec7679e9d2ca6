"""Every parser of what comes from outside, by name: what it is given, and what it may do of it.

Out of a parser comes a value, or the error that it declares; nothing of what it was given is in the
error's text or in the log; and what it is given by the cloud takes little memory and time. The
dialects of the stream, WebSocket frames and packets of Opus have tests of their own besides
(`tests.firmware.stream.dialects.test_hostile`, `tests.firmware.stream.test_flood`,
`tests.hardware.test_codec`), as have journals (`tests.states.test_journal`).
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import logging
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, Final

import pytest
import requests
from convex import ConvexInt64
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from urllib3.response import HTTPResponse

from firmware.cloud import lines
from firmware.cloud import settings as cloud_settings
from firmware.cloud.cache import ConfigurationCache
from firmware.cloud.child import message_of
from firmware.cloud.command import Command
from firmware.cloud.commands import Commands
from firmware.cloud.configuration import ToyConfiguration
from firmware.cloud.credentials import Tokens
from firmware.cloud.errors import CacheError, CloudFaultError, MalformedError, SettingError
from firmware.cloud.guardian_key import GuardianKey
from firmware.cloud.in_force import InForce
from firmware.cloud.live import LiveQueries
from firmware.cloud.query import Query
from firmware.cloud.session import Session
from firmware.cloud.toy_choice import ToyChoice
from firmware.cloud.uploads import storage_id, upload_url
from firmware.cloud.values import ANSWER_BYTES_MAX, ANSWER_LIMITS, refusal_code
from firmware.cloud.versions import ConfigurationVersions
from firmware.errors import NoteError, PinError, RecordStoreError, SettingsError
from firmware.settings import load as load_settings
from firmware.store.audio import AudioSettings, AudioStore
from firmware.store.bulk_log import BulkLog
from firmware.store.changes import Changes
from firmware.store.database import RecordDatabase
from firmware.store.lock import COPIES, LockStore
from firmware.store.note import Note
from firmware.store.record import Record, Stamp
from firmware.stream.codec import MESSAGE_BYTES_MAX, VALUES_MAX, WIDE_CHARS_MAX
from firmware.stream.dialects.binary import BinaryCodec
from firmware.stream.dialects.gateway import GatewayCodec
from firmware.stream.dialects.seed import SeedCodec
from firmware.stream.errors import AddressError, SoundError
from firmware.stream.settings import checked_address
from firmware.stream.wav import Joiner
from firmware.tls import checked_pins
from firmware.voice.arrivals import Arrivals
from firmware.voice.jitter import JitterBuffer
from firmware.voice.reply import Reply
from hardware.clock import Clock
from hardware.errors import HardwareError
from hardware.file_vault import FileVault
from hardware.sensors import TEMPERATURE_FILE, WIRELESS_FILE, SystemSensors
from hardware.sim.clock import VirtualTimeLoop
from tests import hostile
from tests.firmware.cloud.examples import CONFIGURATION, CONVEX_TOKEN, GRANT
from tests.firmware.cloud.rows import RIGHT, row
from tests.firmware.outlets import KeptOutlet
from tests.firmware.stream.waves import wav
from tests.firmware.voice.rig import Posted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from firmware.stream.codec import Codec

SIGNATURE: Final = base64.b64encode(bytes(64)).decode()
ROWS: Final = [row(kind, f"c-{kind}", signature=SIGNATURE) for kind in RIGHT]
RECORD: Final = Record("r-1", "logs:create", '{"code":"X"}', "toy-1", Stamp(1, True, "boot", 2))  # noqa: FBT003 - the clock
KEY: Final = bytes(range(32))
PUBLIC: Final = base64.b64encode(KEY).decode()


@dataclass(frozen=True)
class Parser:
    """A parser, and what is right for it.

    Attributes:
        name: What it reads.
        make: Makes it, with a folder of its own.
        given: What it is given, right or not.
        right: What it takes.
        raises: What it may raise.
        examples: How much is tried.
        quotes: Whether its errors may quote what is wrong: for the person who wrote it.
        heavy: What costs most of all, by name.
        on_loop: Whether it is called on the loop.
    """

    name: str
    make: Callable[[Path], Callable[[Any], object]]
    given: st.SearchStrategy[Any]
    right: tuple[Any, ...]
    raises: tuple[type[Exception], ...] = ()
    examples: int = 60
    quotes: bool = False
    heavy: Mapping[str, Any] = field(default_factory=dict)
    on_loop: bool = True


# -- Answers over HTTP: read by the real session, from a network that is none.


class Answering(requests.adapters.BaseAdapter):
    """Answers each request with `content`."""

    def __init__(self) -> None:
        super().__init__()
        self.content = b""

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:  # noqa: ANN401 - as it is there
        """Return status 200 and the content."""
        response = requests.Response()
        response.status_code = 200
        response.raw = HTTPResponse(io.BytesIO(self.content), preload_content=False)
        response.request = request
        return response

    def close(self) -> None:
        """Do nothing."""


def asked(understand: Callable[[object], object]) -> Callable[[Path], Callable[[bytes], object]]:
    """Make what calls a function, whose answer is the content, and understands its value."""

    def make(_: Path) -> Callable[[bytes], object]:
        session, answering = _session()

        def parse(content: bytes) -> object:
            answering.content = content
            return understand(session.call("query", "a:b", {}, CONVEX_TOKEN))

        return parse

    return make


def uploaded(_: Path) -> Callable[[bytes], object]:
    """Make what uploads a file, of which the content is the answer."""
    session, answering = _session()

    def parse(content: bytes) -> object:
        answering.content = content
        return storage_id(session.upload("http://127.0.0.1/", b"x", "audio/opus", "dev-1"))

    return parse


def _session() -> tuple[Session, Answering]:
    session, answering = Session(cloud_settings.CloudSettings(url="http://127.0.0.1")), Answering()
    vars(session._loaded())["requests"]._session.mount("http://", answering)
    return session, answering


# -- What the cloud says, on its way to those whom it is for.


def versions(folder: Path) -> ConfigurationVersions:
    """Make what takes configurations."""
    cache = ConfigurationCache(folder / "cache", "toy-1")
    return ConfigurationVersions(cache, post=Posted(), on_configuration=())


def commands(folder: Path) -> Commands:
    """Make what takes commands; the releases must be signed."""
    return Commands(
        "dev-1",
        post=Posted(),
        outlet=KeptOutlet(),
        in_force=InForce(Note(folder / "in-force")),
        guardian_key=GuardianKey(PUBLIC),
        set_volume=lambda _: None,
        switch=lambda _: None,
        toy_stamp=None,
    )


def received(value: object) -> None:
    """Take a value as both live queries do, each with what it knows already."""
    versions(Path()).receive(value)
    commands(Path()).receive(value)


def understood(folder: Path) -> Callable[[bytes], object]:
    """Make what understands a line of the child."""
    loop = VirtualTimeLoop()
    loop.close()
    clock = Clock(loop)  # which nobody asks

    def parse(content: bytes) -> object:
        takers: dict[str, Callable[[object], None]] = {
            "toys:getConfiguration": versions(folder).receive,
            "devices:commands": commands(folder).receive,
        }
        queries = [Query(function, {}, taker, lambda _: None) for function, taker in takers.items()]
        live = LiveQueries(
            cloud_settings.CloudSettings(url="http://127.0.0.1"),
            "http://127.0.0.1",
            queries,
            clock=clock,
            random=Random(1),  # noqa: S311 - the same each time
        )
        return live._understand(content)

    return parse


def told(_: Path) -> Callable[[object], object]:
    """Make what tells the parent an answer; whatever it tells, the parent can read."""

    def parse(answer: object) -> object:
        return lines.read(message_of("a:b", answer))

    return parse


def of_dialect(codec: Callable[[], Codec]) -> Callable[[Path], Callable[[Any], object]]:
    """Make what reads messages of a dialect."""
    return lambda _: codec().receive


# -- Files, as a damaged card may return them.


def filed(name: str, load: Callable[[Path], object]) -> Callable[[Path], Callable[[bytes], object]]:
    """Make what writes a content into a file, and loads it."""

    def make(folder: Path) -> Callable[[bytes], object]:
        def parse(content: bytes) -> object:
            (folder / name).write_bytes(content)
            (folder / name).chmod(0o600)
            return load(folder)

        return parse

    return make


def noted(load: Callable[[Note], object]) -> Callable[[Path], Callable[[Any], object]]:
    """Make what stores facts in a note, whatever they are, and loads it."""

    def make(folder: Path) -> Callable[[Any], object]:
        def parse(facts: Any) -> object:  # noqa: ANN401 - any JSON
            note = Note(folder / "note")
            try:
                note.store(facts)
            except (ValueError, RecursionError):
                return None
            return load(note)

        return parse

    return make


def in_force(note: Note) -> object:
    """Load what is in force."""
    found = InForce(note)
    found.close()
    try:
        found.take_up(note.load())
    except NoteError:
        return None
    return found.mute, found.volume


def toy(note: Note) -> object:
    """Load which toy it is."""
    choice = ToyChoice(note, "toy-1")
    choice.close()
    return choice.id


def cached(folder: Path) -> Callable[[Any], object]:
    """Make what caches a configuration, whatever it is, and takes it up."""

    def parse(value: Any) -> object:  # noqa: ANN401 - any JSON
        cache = ConfigurationCache(folder / "cache", "toy-1")
        try:
            cache.store(json.dumps(value).encode(), value["version"])
        except (ValueError, TypeError, LookupError, RecursionError):
            return None
        found = ConfigurationVersions(cache, post=Posted(), on_configuration=())
        try:
            found.receive(cache.load())
        except CacheError:
            return None
        return found._waiting

    return parse


def locked(folder: Path) -> Callable[[Any], object]:
    """Make what seals the fields of a lock record, whatever they are, and reads it."""

    def parse(fields: Any) -> object:  # noqa: ANN401 - any JSON
        try:
            body = json.dumps(fields)
        except (ValueError, RecursionError):
            return None
        digest = hashlib.sha256(body.encode()).hexdigest()
        (folder / COPIES[0]).write_text(json.dumps({"body": body, "sha256": digest}))
        return LockStore(folder).read()

    return parse


def sensed(name: str) -> Callable[[Path], Callable[[bytes], object]]:
    """Make what reads the sensors, of which one file has this content."""

    def make(folder: Path) -> Callable[[bytes], object]:
        (folder / name).parent.mkdir(parents=True)
        sensors = SystemSensors(folder, root=folder)
        return filed(name, lambda _: sensors.read())(folder)

    return make


def database(folder: Path) -> RecordDatabase:
    """Make the database of records."""
    return RecordDatabase(folder / "records.db", synchronous="OFF")


def opened(folder: Path) -> object:
    """Open the database and read all that is in it."""
    for end in ("-wal", "-shm"):
        (folder / f"records.db{end}").unlink(missing_ok=True)
    records = database(folder)
    try:
        found = records.open()
        records.audio_names()
        return records.read(tuple(record_id for record_id, _ in found.waiting))
    finally:
        records.close()


def _content(name: str, write: Callable[[Path], object]) -> Callable[[Path], bytes]:
    def made(folder: Path) -> bytes:
        write(folder)
        return (folder / name).read_bytes()

    return made


def _database(folder: Path) -> None:
    records = database(folder)
    records.open()
    records.apply(Changes(put={RECORD.record_id: RECORD}))
    records._open_database().execute("PRAGMA wal_checkpoint(TRUNCATE)")
    records.close()


AUDIO_NAME: Final = "0000000000-" + "0" * 32


def _speech(folder: Path) -> AudioStore:
    return AudioStore(folder, lambda: KEY, AudioSettings())


_WIRELESS: Final = b"Inter-| sta\n face |\nwlan0: 0000   58.  -52.  -256        0\n"

FILES: Final[Mapping[str, Callable[[Path], bytes]]] = {
    "cache": _content(
        "cache",
        lambda f: ConfigurationCache(f / "cache", "toy-1").store(
            json.dumps(CONFIGURATION).encode(), 7
        ),
    ),
    "note": _content("note", lambda f: Note(f / "note").store({"format": 1})),
    "lock": _content(COPIES[0], lambda f: LockStore(f).write("l-1", "lock", 0, "lock")),
    "bulk": _content(
        "bulk", lambda f: BulkLog(f / "bulk").append([("put", RECORD.encoded()), ("done", "r")])
    ),
    "records.db": _content("records.db", _database),
}
"""Files as we write them, by what they hold."""


def _join(content: bytes) -> object:
    """Take a WAV file whole."""
    joiner = Joiner()
    return joiner.take_wav(content) + joiner.finish()


def _speak(pieces: list[bytes]) -> object:
    """Play packets, hostile all of them, through the jitter buffer and the decoder."""
    buffer = JitterBuffer(Arrivals(start_ms=0, ms_max=0), ms_max=2_000, bytes_max=100_000)
    for piece in pieces:
        buffer.push(piece, 0, int.from_bytes(piece[:4], "big"))
    buffer.finish(len(pieces))
    reply = Reply(buffer)
    try:
        return sum(1 for _ in iter(lambda: reply.next_frame(0), None))
    finally:
        reply.close()


# -- What is heavy.

_ANSWERS: Final = hostile.heavy(ANSWER_BYTES_MAX - 100) | hostile.costly(
    ANSWER_LIMITS.values_max, ANSWER_LIMITS.wide_bytes_max // 4
)
_MESSAGES: Final = hostile.heavy(MESSAGE_BYTES_MAX - 100) | hostile.costly(
    VALUES_MAX, WIDE_CHARS_MAX
)

_SAY: Final = ",".join(
    json.dumps(row("say", f"c-{number}", text="x" * 1_000)) for number in range(100)
)
_RELEASES: Final = ",".join(
    json.dumps(row("release", f"c-{number}", signature=SIGNATURE)) for number in range(100)
)
_TOPICS: Final = json.dumps([f"{number:05}" * 39 for number in range(200)])
_RIGHT: Final = {
    "commands": f"[{_SAY}]",
    "releases": f"[{_RELEASES}]",
    "a key that is not known": json.dumps(CONFIGURATION)[:-1] + ',"newer":"' + "x" * 230_000 + '"}',
    "emoji that are not known": json.dumps(CONFIGURATION)[:-1]
    + ',"newer":"'
    + "🎈" * 60_000
    + '"}',
    "topics": json.dumps(CONFIGURATION)[:-1]
    + f',"allowedTopics":{_TOPICS},"blockedTopics":{_TOPICS}}}',
}
"""Values that are taken, as long as they may be."""


def _answered(text: str) -> bytes:
    return f'{{"status":"success","value":{text}}}'.encode("utf-8", "surrogatepass")


def _line(text: str) -> list[bytes]:
    return [
        f'{{"of":"{function}","value":{text}}}\n'.encode("utf-8", "surrogatepass")
        for function in ("toys:getConfiguration", "devices:commands")
    ]


_HTTP: Final = {name: _answered(text) for name, text in (_ANSWERS | _RIGHT).items()}
_UPLOADED: Final = {name: text.encode() for name, text in _ANSWERS.items()}
_LINES: Final = {
    f"{name} {index}": content
    for name, text in (_ANSWERS | _RIGHT).items()
    for index, content in enumerate(_line(text))
}
_STREAM: Final = {
    f"{head} {name}": head.replace("?", text)
    for name, text in _MESSAGES.items()
    for head in ('{"type":"text_response","text":?}', '{"type":"ping","x":?}')
}

SEED: Final = (
    {"type": "text_response", "text": "Hello"},
    {
        "type": "audio_response",
        "data": "0010",
        "format": "opus",
        "sampleRate": 16000,
        "sequence": 1,
    },
    {"type": "error", "code": "AUTH_FAILED", "message": "no"},
    {"type": "safety_override", "action": "pause", "duration": 5},
    {"type": "command", "command": "lock"},
    {"type": "handshake_ack", "dialect": "seed"},
)
GATEWAY: Final = (
    {"type": "text_response", "payload": {"text": "Hello"}},
    {
        "type": "audio_response",
        "payload": {
            "data": wav(bytes(8), 16_000).hex(),
            "metadata": {"format": "wav", "sampleRate": 16000, "isFinal": True},
        },
    },
    {"type": "command", "payload": {"command": "pause", "duration": 5}},
    {"type": "safety_override", "payload": {"action": "stop"}},
    {"type": "error", "error": "no"},
)
BINARY: Final = (*SEED, {"type": "transcript", "text": "Hello", "turn": 3})


def _texts(*examples: Any) -> st.SearchStrategy[Any]:  # noqa: ANN401 - any JSON
    contents = hostile.json_texts(*examples)
    return contents.map(lambda content: content.decode("utf-8", "replace")) | contents


def _altered(text: str) -> st.SearchStrategy[str]:
    return hostile.damaged(text.encode()).map(lambda content: content.decode("utf-8", "replace"))


def _function(*examples: Any) -> st.SearchStrategy[bytes]:  # noqa: ANN401 - any JSON
    answers = [{"status": "success", "value": example} for example in examples]
    refused = {"status": "error", "errorMessage": "no", "errorData": {"code": "BAD_SECRET"}}
    return hostile.json_texts(*answers, refused)


def _lines(*examples: Any) -> st.SearchStrategy[bytes]:  # noqa: ANN401 - any JSON
    functions = {"toys:getConfiguration", "devices:commands"}
    said = [{"of": of, "value": value} for of in sorted(functions) for value in examples]
    return hostile.json_texts(*said, {"of": "devices:commands", "failed": "X"}, {"beat": True})


_CONVEX: Final = hostile.values(CONFIGURATION, ROWS).map(
    lambda value: [value, ConvexInt64(7), b"x"] if value is None else value
) | st.tuples(hostile.TEXTS, hostile.ANYTHING)

PARSERS: Final = (
    Parser(
        "a function's answer, over HTTP",
        asked(received),
        _function(CONFIGURATION, ROWS, GRANT),
        (_answered(json.dumps(CONFIGURATION)), _answered(json.dumps(ROWS))),
        (CloudFaultError,),
        examples=100,
        heavy=_HTTP,
        on_loop=False,
    ),
    Parser(
        "an upload's answer, over HTTP",
        uploaded,
        hostile.json_texts({"storageId": "s-1"}),
        (b'{"storageId":"s-1"}',),
        (CloudFaultError,),
        heavy=_UPLOADED,
        on_loop=False,
    ),
    Parser(
        "a line of the child",
        understood,
        _lines(CONFIGURATION, ROWS),
        (*_line(json.dumps(CONFIGURATION)), *_line(json.dumps(ROWS))),
        heavy=_LINES,
        examples=100,
    ),
    Parser("what the client gives the child", told, _CONVEX, (CONFIGURATION, ROWS)),
    Parser(
        "a refusal's data",
        lambda _: refusal_code,
        hostile.values({"code": "BAD_SECRET"}),
        ({"code": "BAD_SECRET"},),
    ),
    Parser("tokens", lambda _: Tokens.parse, hostile.values(GRANT), (GRANT,), (MalformedError,)),
    Parser(
        "a configuration",
        lambda _: ToyConfiguration.parse,
        hostile.values(
            CONFIGURATION, CONFIGURATION | {"wakeWord": {"url": "https://a", "sha256": "0" * 64}}
        ),
        (CONFIGURATION,),
        (MalformedError,),
        examples=200,
    ),
    Parser(
        "versions", lambda f: versions(f).receive, hostile.values(CONFIGURATION), (CONFIGURATION,)
    ),
    Parser(
        "a command",
        lambda _: Command.parse,
        hostile.values(*ROWS),
        tuple(ROWS),
        (MalformedError,),
        examples=200,
    ),
    Parser("commands", lambda f: commands(f).receive, hostile.values(ROWS), (ROWS,), examples=100),
    Parser(
        "an address for an upload",
        lambda _: upload_url,
        hostile.values({"url": "https://files.example/1"}),
        ({"url": "https://files.example/1"},),
        (MalformedError,),
    ),
    *(
        Parser(
            f"a message of the stream, {codec.__name__}",
            of_dialect(codec),
            _texts(*examples),
            tuple(map(json.dumps, examples)),
            heavy=_STREAM,
            examples=100,
        )
        for codec, examples in ((SeedCodec, SEED), (GatewayCodec, GATEWAY), (BinaryCodec, BINARY))
    ),
    Parser(
        "a WAV file",
        lambda _: _join,
        hostile.damaged(wav(bytes(200), 22_050))
        | st.binary(max_size=80).map(lambda b: b"RIFF" + b),
        (wav(bytes(200), 22_050),),
        (SoundError,),
        heavy={"whole": wav(bytes(499_000), 22_050)},
    ),
    Parser(
        "packets of Opus", lambda _: _speak, st.lists(st.binary(max_size=60), max_size=6), ([b""],)
    ),
    *(
        Parser(
            f"the file {name}",
            filed(COPIES[0] if name == "lock" else name, load),
            st.nothing(),
            (),
            raises,
            examples,
        )
        for name, load, raises, examples in (
            ("cache", lambda f: ConfigurationCache(f / "cache", "toy-1").load(), (CacheError,), 60),
            ("note", lambda f: Note(f / "note").load(), (NoteError,), 60),
            ("lock", lambda f: LockStore(f).read(), (), 60),
            ("bulk", lambda f: BulkLog(f / "bulk").read(), (RecordStoreError,), 60),
            ("records.db", opened, (RecordStoreError,), 30),
        )
    ),
    Parser(
        "the mute and the volume in force",
        noted(in_force),
        hostile.values(
            {
                "format": 1,
                "mute": {"issued_at_ms": 1.0, "command": "c", "muted": True},
                "volume": {"issued_at_ms": 1.0, "command": "c", "percent": 30},
            }
        ),
        ({"format": 1},),
    ),
    Parser(
        "the choice of a toy",
        noted(toy),
        hostile.values({"format": 1, "toyId": "toy-2", "issued_at_ms": 1.0, "command": "c"}),
        ({"format": 1},),
    ),
    Parser("the cached configuration", cached, hostile.values(CONFIGURATION), (CONFIGURATION,)),
    Parser(
        "the lock record",
        locked,
        hostile.values(
            {"counter": 1, "verdict": "lock", "lock_id": "l", "pause_ms": 0, "cause": "lock"}
        ),
        ({},),
    ),
    Parser(
        "a record",
        lambda _: Record.decode,
        hostile.json_texts(json.loads(RECORD.encoded())).map(
            lambda b: b.decode("utf-8", "replace")
        ),
        (RECORD.encoded(),),
    ),
    Parser(
        "stored speech",
        filed(f"{AUDIO_NAME}.sealed", lambda f: _speech(f).get(AUDIO_NAME)),
        st.binary(max_size=80),
        (),
    ),
    Parser(
        "a key of the vault",
        filed("audio.key", lambda f: _vault(f).key("audio")),
        st.binary(max_size=64),
        (KEY,),
        (HardwareError,),
    ),
    Parser(
        "the device's secret",
        filed("secret", lambda f: _vault(f).secret()),
        st.binary(max_size=64) | st.just(b"s" * 10_000),
        (b"sim-secret",),
        (HardwareError,),
    ),
    Parser(
        "the settings file",
        filed("toy.toml", lambda f: load_settings(f / "toy.toml", {})),
        hostile.damaged(b'[cloud]\nurl = "https://a.example"\n[stream]\nhello_timeout_ms = 5\n')
        | st.binary(max_size=60)
        | st.just(b"a=" + b"[" * 60_000),
        (b'[cloud]\nurl = "https://a.example"\n',),
        (SettingsError,),
        quotes=True,
    ),
    Parser(
        "the temperature",
        sensed(TEMPERATURE_FILE),
        hostile.TEXTS.map(lambda text: text.encode("utf-8", "replace")) | st.just(b"9" * 400),
        (b"45000\n",),
    ),
    Parser(
        "the radio",
        sensed(WIRELESS_FILE),
        hostile.damaged(_WIRELESS) | st.binary(max_size=60),
        (_WIRELESS,),
    ),
    Parser(
        "the guardian's key",
        lambda _: GuardianKey,
        hostile.TEXTS | _altered(PUBLIC),
        (PUBLIC,),
        (SettingError,),
    ),
    Parser(
        "a guardian's signature",
        lambda _: lambda text: GuardianKey(PUBLIC).has_signed("dev-1", "l-1", text),
        hostile.TEXTS | _altered(SIGNATURE),
        (SIGNATURE,),
    ),
    Parser(
        "pins",
        lambda _: checked_pins,
        hostile.TEXTS | _altered(f"sha256/{PUBLIC}"),
        ("", f"sha256/{PUBLIC}"),
        (PinError,),
        quotes=True,
    ),
    Parser(
        "the cloud's address",
        lambda _: cloud_settings.checked_address,
        hostile.TEXTS | _altered("https://a.example:80"),
        ("https://a.example",),
        (SettingError,),
        quotes=True,
    ),
    Parser(
        "the gateway's address",
        lambda _: checked_address,
        hostile.TEXTS | _altered("wss://a.example:80/x"),
        ("wss://a.example/x",),
        (AddressError,),
        quotes=True,
    ),
)


def _vault(folder: Path) -> FileVault:
    folder.chmod(0o700)
    return FileVault(folder / "secret", folder)


def _given(parser: Parser, folder: Path) -> st.SearchStrategy[Any]:
    name = parser.name.removeprefix("the file ")
    if name == parser.name:
        return parser.given
    (folder / "made").mkdir()
    whole = FILES[name](folder / "made")
    return hostile.damaged(whole) | hostile.noise() | st.just(b"[" * 100_000)


@contextmanager
def logged() -> Iterator[list[str]]:
    """Give what the firmware logs meanwhile."""
    texts: list[str] = []

    class Listening(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            texts.append(self.format(record))

    logger, listening = logging.getLogger("firmware"), Listening()
    logger.addHandler(listening)
    try:
        yield texts
    finally:
        logger.removeHandler(listening)


def judge(parser: Parser, parse: Callable[[Any], object], sent: object) -> None:
    """See that a value comes out, or the declared error, and no word of what was sent."""
    with logged() as texts:
        try:
            parse(sent)
        except parser.raises as error:
            texts.append(hostile.told(error))
    if not parser.quotes:
        assert hostile.CANARY not in "\n".join(texts)


def test_names_are_unlike() -> None:
    """A parser is found by its name."""
    assert len({parser.name for parser in PARSERS}) == len(PARSERS)


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.name)
def test_what_is_right_is_taken(parser: Parser, tmp_path: Path) -> None:
    """Or else the tests below would try nothing but the first check."""
    parse = parser.make(tmp_path)
    for example in parser.right:
        parse(example)


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.name)
def test_nothing_but_the_declared_error_comes_out(parser: Parser, tmp_path: Path) -> None:
    """Whatever is sent."""
    parse = parser.make(tmp_path)

    @settings(max_examples=parser.examples, deadline=None, suppress_health_check=list(HealthCheck))
    @given(_given(parser, tmp_path))
    def judged(sent: object) -> None:
        judge(parser, parse, sent)

    judged()


WORDY: Final = tuple(parser for parser in PARSERS if parser.right and not parser.quotes)


@pytest.mark.parametrize("parser", WORDY, ids=lambda parser: parser.name)
def test_no_word_of_it_is_repeated(parser: Parser, tmp_path: Path) -> None:
    """Not in an error, nor in the log: each text in turn, and each key, is one that must not be."""
    parse = parser.make(tmp_path)
    for example in parser.right:
        for sent in _with_canaries(example):
            judge(parser, parse, sent)


def _with_canaries(example: Any) -> Iterator[Any]:  # noqa: ANN401 - any JSON
    match example:
        case str() if example.startswith("{"):
            yield from map(json.dumps, _with_canaries(json.loads(example)))
        case bytes() if example.startswith(b"{"):
            yield from (text.encode() for text in _with_canaries(example.decode()))
        case str():
            yield from (hostile.CANARY, example + hostile.CANARY)
        case bytes():
            yield example + hostile.CANARY.encode()
        case dict():
            for key in example:
                rest = {other: value for other, value in example.items() if other != key}
                yield rest | {hostile.CANARY: example[key]}
                yield from (rest | {key: changed} for changed in _with_canaries(example[key]))
        case list():
            yield from (
                [*example[:index], changed, *example[index + 1 :]]
                for index, item in enumerate(example)
                for changed in _with_canaries(item)
            )
        case _:
            yield hostile.CANARY


HEAVY: Final = tuple(parser for parser in PARSERS if parser.heavy)


@pytest.mark.parametrize("parser", HEAVY, ids=lambda parser: parser.name)
def test_heaviest_message_takes_little_memory(parser: Parser, tmp_path: Path) -> None:
    """Beyond its own size, counted with the values that it becomes."""
    parse = parser.make(tmp_path)
    for name, sent in parser.heavy.items():
        judge(parser, parse, sent)  # the first time costs what it is that learns
        peak = hostile.peak_bytes(lambda sent=sent: judge(parser, parse, sent))  # type: ignore[misc]
        beyond = peak - (sys.getsizeof(sent) if isinstance(sent, str) else len(sent))
        assert beyond <= hostile.BEYOND_BYTES_MAX, (name, beyond)


@pytest.mark.parametrize("parser", HEAVY, ids=lambda parser: parser.name)
def test_heaviest_message_takes_little_time(parser: Parser, tmp_path: Path) -> None:
    """The loop goes on; what a worker does holds it up as well, for some of the time."""
    parse = parser.make(tmp_path)
    for name, sent in parser.heavy.items():
        took_ms = hostile.least_ms(lambda sent=sent: judge(parser, parse, sent))  # type: ignore[misc]
        assert took_ms <= hostile.LOOP_MS_MAX, (name, took_ms)
