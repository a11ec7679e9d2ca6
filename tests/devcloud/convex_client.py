"""The official sync client, in a process of its own: it holds the interpreter while it waits.

Arguments: the cloud's URL, then a scenario, one of the functions below. It prints what it got, one
JSON value a line.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Final

from convex import ConvexClient, ConvexError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.devcloud.json_type import Json

CREDENTIALS: Final[Json] = {"deviceId": "dev-sim-1", "deviceSecret": "sim-secret"}
TOY: Final[Json] = {"deviceId": "dev-sim-1", "toyId": "toy-sim-1"}


def say(value: Json) -> None:
    print(json.dumps(value), flush=True)  # noqa: T201 - the test reads it


def attempt(call: Callable[..., Json], *arguments: Json) -> None:
    """Say what a call returns, or what it raises."""
    try:
        say(call(*arguments))
    except ConvexError as error:
        say({"ConvexError": error.data})
    except Exception as error:  # noqa: BLE001 - the client raises nothing narrower
        say({"Exception": str(error).splitlines()[-1]})


def calls(client: ConvexClient) -> None:
    """Make one call of each sort; none of them may hang."""
    attempt(client.mutation, "auth:authenticateDevice", {**CREDENTIALS, "deviceSecret": "wrong"})
    attempt(client.mutation, "auth:authenticateDevice", {**CREDENTIALS, "deviceId": "nobody"})
    attempt(client.query, "toys:getConfiguration", TOY)
    tokens = client.mutation("auth:authenticateDevice", CREDENTIALS)
    client.set_auth(tokens["convexToken"])
    attempt(client.query, "toys:getConfiguration", {**TOY, "toyId": "another"})
    say(client.query("toys:getConfiguration", TOY)["wakeWord"])
    attempt(client.action, "no:such", {})
    attempt(client.mutation, "toys:getConfiguration", TOY)


def subscription(client: ConvexClient) -> None:
    """Show each version of the configuration as it comes."""
    tokens = client.mutation("auth:authenticateDevice", CREDENTIALS)
    client.set_auth(tokens["convexToken"])
    configuration: Json
    for configuration in client.subscribe("toys:getConfiguration", TOY):
        say([configuration["version"], configuration["volumeLimit"]])


if __name__ == "__main__":
    scenario = {"calls": calls, "subscription": subscription}[sys.argv[2]]
    scenario(ConvexClient(sys.argv[1]))
