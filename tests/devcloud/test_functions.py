from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from devcloud.calls import CallLog
from devcloud.deployment import seeded
from devcloud.faults import FaultBoard
from devcloud.functions import Call, Functions, Kind, Outcome
from devcloud.tokens import Audience, Identity, Tokens

if TYPE_CHECKING:
    from tests.devcloud.json_type import Json

DEVICE = Identity("device", 2e9)


class House:
    """A deployment with its functions."""

    def __init__(self) -> None:
        self.deployment = seeded("device", "secret", "toy")
        self.tokens = Tokens()
        self.faults = FaultBoard()
        self.calls = CallLog()
        self.functions = Functions(self.deployment, self.tokens, self.faults, self.calls, 60.0)

    def call(
        self, kind: Kind, name: str, arguments: Json, identity: Identity | None = DEVICE
    ) -> Outcome:
        return self.functions.run(Call(kind, name, arguments, identity, "http"))

    def commands(self) -> list[Json]:
        rows: Json = self.call(Kind.QUERY, "devices:commands", {"deviceId": "device"}).value
        return [row["commandId"] for row in rows]

    def authenticate(self, **arguments: Json) -> Outcome:
        call = Call(Kind.MUTATION, "auth:authenticateDevice", arguments, None, "http")
        return self.functions.run(call)

    def configuration(self, identity: Identity | None, toy_id: str = "toy") -> Outcome:
        arguments = {"deviceId": "device", "toyId": toy_id}
        call = Call(Kind.QUERY, "toys:getConfiguration", arguments, identity, "http")
        return self.functions.run(call)


def test_a_device_gets_a_token_for_each_use_and_their_lifetimes() -> None:
    house = House()
    tokens: Json = house.authenticate(deviceId="device", deviceSecret="secret").value
    assert house.tokens.verify(tokens["convexToken"], Audience.CLOUD).device_id == "device"
    assert house.tokens.verify(tokens["websocketToken"], Audience.STREAM).device_id == "device"
    assert tokens["convexTokenLifetimeS"] == tokens["websocketTokenLifetimeS"] == 60.0


@pytest.mark.parametrize(
    ("device_id", "secret", "code"),
    [("nobody", "secret", "DEVICE_NOT_FOUND"), ("device", "wrong", "BAD_SECRET")],
)
def test_who_cannot_prove_it_gets_a_convex_error(device_id: str, secret: str, code: str) -> None:
    outcome = House().authenticate(deviceId=device_id, deviceSecret=secret)
    assert outcome.error_data == {"code": code}
    assert f'Uncaught ConvexError: {{"code": "{code}"}}' in outcome.error_message


def test_on_command_nobody_can_prove_it() -> None:
    house = House()
    house.faults.set({"refuse_auth": True})
    outcome = house.authenticate(deviceId="device", deviceSecret="secret")
    assert outcome.error_data == {"code": "BAD_SECRET"}


def test_the_configuration_is_for_the_toys_own_device() -> None:
    house = House()
    assert house.configuration(DEVICE).value == house.deployment.configuration()
    unauthenticated = {"code": "UNAUTHENTICATED"}
    assert house.configuration(None).error_data == unauthenticated
    assert house.configuration(Identity("other", 2e9)).error_data == unauthenticated
    assert house.configuration(DEVICE, "other").error_data == {"code": "TOY_NOT_FOUND"}


@pytest.mark.parametrize("name", ["toys:getConfiguration", "toys.js:getConfiguration"])
def test_a_function_is_found_by_both_spellings_of_its_module(name: str) -> None:
    arguments = {"deviceId": "device", "toyId": "toy"}
    outcome = House().functions.run(Call(Kind.QUERY, name, arguments, DEVICE, "http"))
    assert outcome.error is None


@pytest.mark.parametrize(
    ("kind", "name", "arguments", "says"),
    [
        (Kind.QUERY, "no:such", {}, "Could not find public function for 'no:such'"),
        (Kind.QUERY, "nowhere", {}, "Could not find public function for 'nowhere:default'"),
        (Kind.MUTATION, "toys:getConfiguration", {}, "as Mutation, but it is defined as Query"),
        (Kind.QUERY, "toys:getConfiguration", {"deviceId": "x"}, "required field `toyId`"),
        (Kind.QUERY, "toys:getConfiguration", {"deviceId": 1.0, "toyId": ""}, "v.string()"),
        (Kind.QUERY, "toys:getConfiguration", {"extra": 1.0}, "extra field `extra`"),
    ],
)
def test_a_call_that_cannot_be_is_an_error_without_data(
    kind: Kind, name: str, arguments: dict[str, Json], says: str
) -> None:
    outcome = House().functions.run(Call(kind, name, arguments, DEVICE, "http"))
    assert says in outcome.error_message
    assert outcome.error_data is None


def test_calls_are_noted_with_their_outcome_and_without_a_secret() -> None:
    house = House()
    house.authenticate(deviceId="device", deviceSecret="secret")
    house.authenticate(deviceId="device", deviceSecret="wrong")
    house.functions.run(Call(Kind.ACTION, "no:such", {}, None, "sync"))
    assert [call["outcome"] for call in house.calls.to_json()] == ["success", "BAD_SECRET", "error"]
    assert "secret" not in str(house.calls.to_json())


def test_a_query_that_runs_again_is_not_noted_again() -> None:
    house = House()
    house.functions.rerun(Call(Kind.QUERY, "no:such", {}, None, "sync"))
    assert house.calls.to_json() == []


def test_the_echo_returns_what_it_was_given_and_logs_a_line() -> None:
    outcome = House().call(Kind.ACTION, "dev:echo", {"value": [1.0, {"a": None}]}, None)
    assert outcome.value == [1.0, {"a": None}]
    assert outcome.log_lines == ("[LOG] 'echo'",)


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("data", ["text", {"code": "X"}, [1.0]])
def test_a_failure_on_demand_carries_its_data(kind: Kind, data: Json) -> None:
    outcome = House().call(kind, "dev:fail", {"data": data}, None)
    assert outcome.error_data == data


def test_a_command_is_shown_with_all_that_it_says() -> None:
    house = House()
    with house.deployment.transaction():
        house.deployment.commands.issue("device", {"kind": "say", "text": "hi"}, 5)
    rows: Json = house.call(Kind.QUERY, "devices:commands", {"deviceId": "device"}).value
    assert rows == [
        {
            "kind": "say",
            "text": "hi",
            "issuedAt": 5.0,
            "toyId": None,
            "commandId": rows[0]["commandId"],
        }
    ]


def test_commands_and_upload_urls_are_for_the_device_itself() -> None:
    house = House()
    for kind, name in (
        (Kind.QUERY, "devices:commands"),
        (Kind.MUTATION, "storage:generateUploadUrl"),
    ):
        outcome = house.call(kind, name, {"deviceId": "device"}, Identity("other", 2e9))
        assert outcome.error_data == {"code": "UNAUTHENTICATED"}


def test_every_upload_url_is_another() -> None:
    house = House()
    house.deployment.url = "http://cloud"
    answers: list[Json] = [
        house.call(Kind.MUTATION, "storage:generateUploadUrl", {"deviceId": "device"}).value
        for _ in range(2)
    ]
    urls = {answer["url"] for answer in answers}
    assert len(urls) == 2
    assert all(url.startswith("http://cloud/api/storage/upload?token=") for url in urls)


def test_arguments_beyond_convexs_limit_are_refused() -> None:
    outcome = House().call(Kind.ACTION, "dev:echo", {"value": "x" * (16 << 20)}, None)
    assert "Arguments for dev:echo are too large" in outcome.error_message


def test_a_mutation_raises_the_time_and_a_query_or_a_failure_does_not() -> None:
    house = House()
    before = house.deployment.timestamp
    house.configuration(DEVICE)
    house.authenticate(deviceId="device", deviceSecret="wrong")
    assert house.deployment.timestamp == before
    house.authenticate(deviceId="device", deviceSecret="secret")
    assert house.deployment.timestamp > before
