from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devcloud import sync
from devcloud.calls import CallLog
from devcloud.deployment import seeded
from devcloud.faults import FaultBoard
from devcloud.functions import Functions
from devcloud.sync import SyncSession
from devcloud.tokens import Audience, Tokens
from devcloud.values import decode_u64, encode_u64

if TYPE_CHECKING:
    from tests.devcloud.json_type import Json

NOW_S = 1_000_000.0
TOY = {"deviceId": "device", "toyId": "toy"}
CONNECT: Json = {
    "type": "Connect",
    "sessionId": "s",
    "connectionCount": 0,
    "lastCloseReason": "none",
}


class Client:
    """The client's side of one connection: sends, and holds the server to the protocol's rules."""

    def __init__(self) -> None:
        self.deployment = seeded("device", "secret", "toy")
        self.tokens = Tokens(lambda: NOW_S)
        functions = Functions(self.deployment, self.tokens, FaultBoard(), CallLog(), 60.0)
        self.session = SyncSession(functions, self.tokens)
        self.version: dict[str, Json] = {"querySet": 0, "identity": 0, "ts": encode_u64(0)}

    def send(self, now_s: float = NOW_S, **message: Json) -> list[dict[str, Json]]:
        self.session.receive_text(json.dumps(message), now_s)
        return self.receive()

    def receive(self) -> list[dict[str, Json]]:
        messages = [json.loads(text) for text in self.session.messages_to_send()]
        for message in messages:
            if message["type"] == "Transition":
                assert message["startVersion"] == self.version
                ended = message["endVersion"]
                assert decode_u64(ended["ts"]) >= decode_u64(self.version["ts"])
                self.version = ended
        return messages

    def add_query(self, **modification: Json) -> list[dict[str, Json]]:
        base = self.version["querySet"]
        add = {"type": "Add", "queryId": base, "udfPath": "toys:getConfiguration", "args": [TOY]}
        return self.send(
            type="ModifyQuerySet",
            baseVersion=base,
            newVersion=base + 1,
            modifications=[{**add, **modification}],
        )

    def authenticate(self, now_s: float = NOW_S, lifetime_s: float = 60.0) -> list[dict[str, Json]]:
        token = self.tokens.issue("device", Audience.CLOUD, lifetime_s)
        return self.send(
            now_s,
            type="Authenticate",
            baseVersion=self.version["identity"],
            tokenType="User",
            value=token,
        )

    def mutate(self, now_s: float = NOW_S, **message: Json) -> list[dict[str, Json]]:
        arguments = [{"deviceId": "device", "deviceSecret": "secret"}]
        mutation = {"requestId": 7, "udfPath": "auth:authenticateDevice", "args": arguments}
        return self.send(now_s, type="Mutation", **{**mutation, **message})


def test_a_query_is_answered_in_a_transition_and_again_when_the_data_changes() -> None:
    client = Client()
    client.authenticate()
    (transition,) = client.add_query()
    (updated,) = transition["modifications"]
    assert updated["type"] == "QueryUpdated"
    assert updated["value"]["version"] == 1.0
    client.deployment.configure({"volumeLimit": 5.0})
    client.session.refresh(NOW_S)
    (transition,) = client.receive()
    (updated,) = transition["modifications"]
    assert (updated["value"]["version"], updated["value"]["volumeLimit"]) == (2.0, 5.0)


def test_a_commit_that_changes_nothing_for_the_client_is_not_told() -> None:
    client = Client()
    client.authenticate()
    client.add_query()
    client.deployment.commit()
    client.session.refresh(NOW_S)
    assert client.receive() == []


def test_a_failed_query_becomes_an_answer_when_the_client_authenticates() -> None:
    client = Client()
    (transition,) = client.add_query()
    (failed,) = transition["modifications"]
    assert failed["type"] == "QueryFailed"
    assert failed["errorData"] == {"code": "UNAUTHENTICATED"}
    (transition,) = client.authenticate()
    (updated,) = transition["modifications"]
    assert updated["type"] == "QueryUpdated"
    assert client.version["identity"] == 1


def test_who_logs_out_loses_the_answer() -> None:
    client = Client()
    client.authenticate()
    client.add_query()
    (transition,) = client.send(type="Authenticate", baseVersion=1, tokenType="None")
    (failed,) = transition["modifications"]
    assert failed["errorData"] == {"code": "UNAUTHENTICATED"}


def test_a_removed_query_is_confirmed_and_never_told_again() -> None:
    client = Client()
    client.authenticate()
    client.add_query()
    (transition,) = client.send(
        type="ModifyQuerySet",
        baseVersion=1,
        newVersion=2,
        modifications=[{"type": "Remove", "queryId": 0}],
    )
    assert transition["modifications"] == [{"type": "QueryRemoved", "queryId": 0}]
    client.deployment.configure({"volumeLimit": 5.0})
    client.session.refresh(NOW_S)
    assert client.receive() == []


def test_a_transition_follows_a_mutation_and_reaches_its_time() -> None:
    client = Client()
    response, transition = client.mutate()
    assert response["success"] is True
    assert response["requestId"] == 7
    assert transition["type"] == "Transition"
    assert decode_u64(transition["endVersion"]["ts"]) >= decode_u64(response["ts"])


def test_a_transition_follows_even_a_mutation_that_failed() -> None:
    """Without it the Python client would wait for ever."""
    client = Client()
    response, transition = client.mutate(args=[{"deviceId": "device", "deviceSecret": "no"}])
    assert response["success"] is False
    assert response["errorData"] == {"code": "BAD_SECRET"}
    assert response["ts"] is None
    assert transition["type"] == "Transition"


def test_an_action_that_is_not_there_fails_and_a_transition_follows() -> None:
    response, transition = Client().send(type="Action", requestId=1, udfPath="a:b", args=[{}])
    assert response["type"] == "ActionResponse"
    assert response["success"] is False
    assert "ts" not in response
    assert transition["type"] == "Transition"


def test_a_token_that_is_refused_ends_the_session_with_an_auth_error() -> None:
    client = Client()
    (error,) = client.send(type="Authenticate", baseVersion=0, tokenType="User", value="forged")
    assert error["type"] == "AuthError"
    assert error["authUpdateAttempted"] is True
    assert client.session.closed == sync.Close(1008, "Unauthenticated")
    assert client.mutate() == []


def test_a_token_of_the_stream_is_refused() -> None:
    client = Client()
    token = client.tokens.issue("device", Audience.STREAM, 60)
    (error,) = client.send(type="Authenticate", baseVersion=0, tokenType="User", value=token)
    assert error["type"] == "AuthError"


def test_an_admin_key_is_refused() -> None:
    (error,) = Client().send(type="Authenticate", baseVersion=0, tokenType="Admin", value="key")
    assert error["type"] == "AuthError"


def test_an_identity_that_has_expired_ends_the_session_when_it_is_needed() -> None:
    client = Client()
    client.authenticate(lifetime_s=60)
    (error,) = client.mutate(NOW_S + 60)
    assert error["type"] == "AuthError"
    assert "authUpdateAttempted" not in error


def test_an_expired_identity_sees_no_further_change() -> None:
    client = Client()
    client.authenticate(lifetime_s=60)
    client.add_query()
    client.deployment.configure({"volumeLimit": 5.0})
    client.session.refresh(NOW_S + 60)
    (error,) = client.receive()
    assert error["type"] == "AuthError"


def test_a_token_that_is_taken_back_ends_the_session_at_once() -> None:
    client = Client()
    client.authenticate()
    client.tokens.revoke("device")
    client.session.refresh(NOW_S)
    (error,) = client.receive()
    assert error["type"] == "AuthError"
    assert "authUpdateAttempted" not in error
    assert client.session.closed == sync.Close(1008, "Unauthenticated")


def test_a_token_that_is_taken_back_carries_no_further_call() -> None:
    client = Client()
    client.authenticate()
    client.tokens.revoke()
    (error,) = client.mutate()
    assert error["type"] == "AuthError"


def test_who_has_a_newer_token_stays_when_the_older_ones_are_taken_back() -> None:
    client = Client()
    client.authenticate()
    client.tokens.revoke("device")
    client.authenticate()
    client.session.refresh(NOW_S)
    assert client.session.closed is None


def test_a_command_is_told_as_it_is_issued_and_goes_when_it_is_acknowledged() -> None:
    client = Client()
    client.authenticate()
    (transition,) = client.add_query(udfPath="devices:commands", args=[{"deviceId": "device"}])
    assert transition["modifications"][0]["value"] == []
    with client.deployment.transaction():
        client.deployment.commands.issue("device", {"kind": "lock", "commandId": "c1"}, 1)
    client.session.refresh(NOW_S)
    (transition,) = client.receive()
    (command,) = transition["modifications"][0]["value"]
    assert (command["commandId"], command["kind"]) == ("c1", "lock")
    acknowledgement = {
        "deviceId": "device",
        "recordId": "r1",
        "timestamp": "2026-11-25T02:14:53Z",
        "commandId": "c1",
        "outcome": "done",
    }
    _, transition = client.mutate(udfPath="devices:ackCommand", args=[acknowledgement])
    assert transition["modifications"][0]["value"] == []


def test_the_lines_that_a_function_logs_are_sent_along() -> None:
    client = Client()
    response, _ = client.send(type="Action", requestId=1, udfPath="dev:echo", args=[{"value": 1.0}])
    assert (response["result"], response["logLines"]) == (1.0, ["[LOG] 'echo'"])


def test_the_difference_of_the_clocks_is_told() -> None:
    client = Client()
    client.send(**CONNECT, clientTs=NOW_S * 1000 + 250)
    (transition,) = client.add_query()
    assert transition["clientClockSkew"] == 250


def test_a_client_from_the_future_is_sent_away() -> None:
    client = Client()
    future = client.deployment.timestamp + 1
    assert client.send(**CONNECT, maxObservedTimestamp=encode_u64(future)) == []
    assert client.session.closed == sync.Close(1011, "InternalServerError")


def test_a_client_that_comes_back_is_welcome() -> None:
    client = Client()
    client.send(**CONNECT, maxObservedTimestamp=encode_u64(client.deployment.timestamp))
    assert client.session.closed is None


def test_a_ping_is_sent_when_asked_for() -> None:
    client = Client()
    client.session.ping()
    assert client.receive() == [{"type": "Ping"}]


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"type": "Nonsense"},
        {"type": "ModifyQuerySet", "baseVersion": 1, "newVersion": 2, "modifications": []},
        {"type": "ModifyQuerySet", "baseVersion": 0, "newVersion": 0, "modifications": []},
        {"type": "ModifyQuerySet", "baseVersion": 0, "newVersion": 1, "modifications": [1]},
        {
            "type": "ModifyQuerySet",
            "baseVersion": 0,
            "newVersion": 1,
            "modifications": [{"type": "Remove", "queryId": 0}],
        },
        {
            "type": "ModifyQuerySet",
            "baseVersion": 0,
            "newVersion": 1,
            "modifications": [{"type": "Change", "queryId": 0}],
        },
        {
            "type": "ModifyQuerySet",
            "baseVersion": 0,
            "newVersion": 1,
            "modifications": [{"type": "Add", "queryId": 0, "udfPath": "a:b", "args": [1]}],
        },
        {
            "type": "ModifyQuerySet",
            "baseVersion": 0,
            "newVersion": 1,
            "modifications": [{"type": "Add", "queryId": 0, "udfPath": "a:b", "args": [{}]}] * 2,
        },
        {"type": "Authenticate", "baseVersion": 3, "tokenType": "None"},
        {"type": "Mutation", "requestId": -1, "udfPath": "a:b", "args": [{}]},
        {"type": "Mutation", "requestId": 1, "udfPath": "a:b", "args": [{}, {}]},
        {"type": "Connect", "clientTs": "now"},
        {"type": "Connect", "maxObservedTimestamp": "?"},
    ],
)
def test_what_the_protocol_does_not_allow_is_a_fatal_error(message: dict[str, Json]) -> None:
    client = Client()
    (error,) = client.send(**message)
    assert error["type"] == "FatalError"
    assert client.session.closed == sync.Close(1008, "BadRequest")


def test_a_connection_holds_so_many_queries_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sync, "QUERIES_MAX", 2)
    client = Client()
    client.add_query()
    client.add_query()
    (error,) = client.add_query()
    assert "2 queries" in error["error"]


KEYS = st.sampled_from(
    [
        *("type", "baseVersion", "newVersion", "modifications", "queryId", "udfPath", "args"),
        *("value", "requestId", "tokenType", "maxObservedTimestamp", "clientTs"),
    ]
)
WORDS = st.sampled_from(
    [
        *("Connect", "Authenticate", "ModifyQuerySet", "Mutation", "Action", "Event"),
        *("Add", "Remove", "User", "None", "toys:getConfiguration"),
    ]
)
MESSAGES = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 2**33) | st.floats() | WORDS | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=6),
    max_leaves=12,
)


@given(st.lists(MESSAGES.map(json.dumps) | st.text(max_size=20), max_size=4))
def test_no_message_breaks_a_session(texts: list[str]) -> None:
    """Whatever arrives, the answers follow the rules that `Client.receive` checks."""
    client = Client()
    for text in texts:
        client.session.receive_text(text, NOW_S)
        answers = client.receive()
        ended = [answer["type"] in {"FatalError", "AuthError"} for answer in answers]
        if any(ended):
            assert client.session.closed
            assert ended[-1]
