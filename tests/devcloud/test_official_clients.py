"""Convex's own clients are the judges: each goes through the same steps against `pommai cloud`.

The steps are in official/steps.json; the scripts beside it go through them, in Python and in
JavaScript, a process each, and say how every step went.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
import requests

from tests.devcloud.running import TIMEOUT_S

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.devcloud.json_type import Json

HERE: Final = Path(__file__).parent / "official"
STEPS: Final = [step["step"] for step in json.loads((HERE / "steps.json").read_text("utf-8"))]

PYTHON: Final = (sys.executable, "-m", "tests.devcloud.official.script")
NODE: Final = ("node", str(HERE / "script.mjs"))
CLIENTS: Final = {
    "python-sync": (*PYTHON, "sync"),
    "python-http": (*PYTHON, "http"),
    "javascript-sync": (*NODE, "sync"),
    "javascript-http": (*NODE, "http"),
}


class Report:
    """What became of each step, by its name; ``rest`` is what the client said besides."""

    def __init__(self, stdout: str, stderr: str) -> None:
        self.steps: dict[str, Json] = {}
        self.rest = stderr
        for line in stdout.splitlines():
            logged, brace, report = line.partition('{"step"')
            if brace:
                # What functions log may stand before and behind it.
                step, end = json.JSONDecoder().raw_decode(brace + report)
                self.steps[step["step"]] = step
                logged += (brace + report)[end:]
            self.rest += f"{logged}\n" if logged else ""


@pytest.fixture(scope="module")
def ready() -> Iterator[dict[str, Json]]:
    """What `pommai cloud` says when it is ready; it runs while the tests of this module do."""
    with subprocess.Popen(
        (sys.executable, "-m", "devcloud", "--port", "0", "--json"),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout
            yield json.loads(process.stdout.readline())
        finally:
            process.terminate()


def taken(client: str, ready: dict[str, Json]) -> Report:
    """Go through all steps with one client."""
    *command, kind = CLIENTS[client]
    try:
        done = subprocess.run(
            (*command, ready["convex_url"], ready["control_url"], kind),
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        # The Python client holds its interpreter while it waits: no step can end it.
        return Report((late.stdout or b"").decode(), (late.stderr or b"").decode())
    return Report(done.stdout, done.stderr)


@pytest.fixture(scope="module", params=CLIENTS)
def report(request: pytest.FixtureRequest, ready: dict[str, Json]) -> Report:
    """One client's way through all steps."""
    return taken(request.param, ready)


@pytest.mark.parametrize("step", STEPS)
def test_the_official_client_takes_the_step(report: Report, step: str) -> None:
    assert step in report.steps, f"never got there; it said besides:\n{report.rest}"
    assert report.steps[step]["passed"], f"{report.steps[step]['why']}\n{report.rest}"


def test_what_functions_log_reaches_whoever_called_and_does_no_harm(report: Report) -> None:
    assert "echo" in report.rest


@pytest.mark.parametrize("client", CLIENTS)
def test_mutations_and_transitions_may_come_twice_and_every_step_is_taken(
    ready: dict[str, Json], client: str
) -> None:
    def deliver_twice(fault: Json) -> int:
        url = f"{ready['control_url']}/faults"
        answer = requests.post(url, json={"duplicate_delivery": fault}, timeout=TIMEOUT_S)
        count: int = answer.json()["struck"]["duplicate_delivery"]
        return count

    before = deliver_twice({})
    try:
        report = taken(client, ready)
    finally:
        struck = deliver_twice(None) - before
    assert [step for step in STEPS if not report.steps.get(step, {}).get("passed")] == []
    assert struck
