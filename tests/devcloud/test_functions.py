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
