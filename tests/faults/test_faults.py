"""The whole toy against everything that can go wrong far away; ``trial`` says what a trial is.

Trials are held beside each other, for they consist of waiting, mostly; each test waits for its own.
Where a fault names no channel it strikes them all: calls over HTTP, the live queries'
socket, the audio stream.
"""

from __future__ import annotations

import importlib
import multiprocessing
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from typing import Final

import pytest

from devcloud.garbage import GARBAGE
from states.table import ROWS
from tests.faults.trial import LOGS, METRICS, MOMENTS, URGENT, Held, Trial, begin_lane, hold

LANES: Final = 3
PATIENCE_S: Final = 110
"""For what comes of a trial; less than after what pytest calls it hanging."""
LAG_MS_MAX: Final = 100.0
ESTABLISHED: Final = {"connections": "established", "cut_after_bytes": 0}
"""For faults that only new connections suffer: there are no others any more."""
UNANSWERED: Final = ("stream cut", "no answer")
"""How a turn ends whose stream is gone: which, depends on when that is noticed."""
REVOKE: Final[tuple[str, Mapping[str, object]]] = ("revoke", {})
WHO: Final = {"deviceId": "dev-sim-1", "toyId": "toy-sim-1"}


def _network(*rules: Mapping[str, object]) -> dict[str, object]:
    return {"network": list(rules)}


LATENCY = _network({"latency_ms": 400, "jitter_ms": 200})
LOSS = _network({"loss_percent": 10})
CUT = _network({"cut_after_bytes": 0})
CUT_STREAM: Final = {**ESTABLISHED, "channel": "stream"}
HALF_OPEN = _network({"half_open": True})
CHANNELS: Final = ("http", "sync", "stream")

SLOWNESS = (
    Trial(name="latency-before", faults=LATENCY, strikes=("latency",)),
    Trial(name="latency-speech", faults=LATENCY, at="speech", strikes=("latency",)),
    # So late that the dialect of the new connection is settled before the gateway can name it.
    Trial(
        name="latency-reconnected",
        faults=_network({"latency_ms": 600}, ESTABLISHED),
        strikes=("latency", "cut"),
        ends=("answered", "gateway failed", *UNANSWERED),
    ),
    # In a row of lost segments the keep-alive, which is impatient here, may see a silence.
    *(
        Trial(
            name=f"loss-{at}",
            faults=LOSS,
            at=at,
            strikes=("loss",),
            ends=("answered", "reply ran dry", *UNANSWERED),
        )
        for at in MOMENTS[:2]
    ),
)
CUTS = (
    Trial(name="cut-speech", faults=CUT, at="speech", strikes=("cut",), ends=("stream cut",)),
    Trial(name="cut-waiting", faults=CUT, at="waiting", strikes=("cut",), ends=("stream cut",)),
    Trial(name="cut-reply", faults=CUT, at="reply", strikes=("cut",)),
    *(
        Trial(
            name=f"cut-{channel}",
            faults=_network({"channel": channel, "cut_after_bytes": 0}),
            at="speech",
            strikes=("cut",),
            ends=("stream cut",) if channel == "stream" else ("answered",),
        )
        for channel in CHANNELS
    ),
)
SILENCES = (
    Trial(
        name="half-open-established",
        faults=_network({"connections": "established", "half_open": True}),
        at="speech",
        strikes=("half_open",),
        ends=("stream cut",),
    ),
    Trial(name="half-open-before", faults=HALF_OPEN, strikes=("half_open",), ends=UNANSWERED),
    Trial(name="half-open-reply", faults=HALF_OPEN, at="reply", strikes=("half_open",)),
    *(
        Trial(
            name=f"half-open-{channel}",
            faults=_network({"channel": channel, "half_open": True}),
            at="speech",
            strikes=("half_open",),
            ends=UNANSWERED if channel == "stream" else ("answered",),
        )
        for channel in CHANNELS
    ),
)
STALLS = tuple(
    Trial(
        name=f"stall-{channel}",
        faults=_network(
            {"channel": channel, "accept_and_stall": True}, {**ESTABLISHED, "channel": channel}
        ),
        strikes=("accept_and_stall", "cut"),
        ends=("answered",) if channel in {"http", "sync"} else UNANSWERED,
    )
    for channel in ("all", *CHANNELS)
)
REFUSALS = tuple(
    Trial(
        name=f"refused-{at}",
        faults=_network({"refuse": True}, ESTABLISHED),
        at=at,
        strikes=("refuse", "cut"),
        ends=UNANSWERED,
    )
    for at in MOMENTS[:2]
)
SERVER_ERRORS = (
    Trial(name="http-500-before", faults={"http_status": 500}, strikes=("http_status",)),
    Trial(
        name="http-503-speech", faults={"http_status": 503}, at="speech", strikes=("http_status",)
    ),
)
TOKENS = (
    Trial(name="expired-for-long", faults={"expire_tokens": True}, strikes=("expire_tokens",)),
    Trial(name="expired-twice", faults={"expire_tokens": {"times": 2}}, strikes=("expire_tokens",)),
    Trial(name="revoked-before", posts=(REVOKE,), ends=("answered", "gateway failed", *UNANSWERED)),
    Trial(name="revoked-speech", posts=(REVOKE,), at="speech", ends=("gateway failed",)),
    Trial(
        name="revoked-and-refused",
        faults={"refuse_auth": True},
        posts=(REVOKE,),
        at="reply",
        ends=("gateway failed",),
    ),
    # New ones come several times within the turn, which goes on under those it began with.
    Trial(
        name="short-lived",
        faults={"token_lifetime_s": 2, "expire_tokens": {"times": 1}},
        strikes=("token_lifetime_s", "expire_tokens"),
    ),
)
DELIVERIES = (
    Trial(
        name="commit-then-drop",
        faults={"commit_then_drop": {"times": 8}},
        strikes=("commit_then_drop",),
    ),
    Trial(name="duplicate", faults={"duplicate_delivery": True}, strikes=("duplicate_delivery",)),
)
GARBLED = tuple(
    Trial(
        name=f"garbage-{kind}",
        faults={"garbage": {"kind": kind, "times": 8}},
        strikes=("garbage",),
    )
    for kind in GARBAGE
)
GATEWAY = (
    Trial(name="no-reply", faults={"no_reply": True}, strikes=("no_reply",), ends=("no answer",)),
    *(
        Trial(
            name=f"gateway-fails-{at}",
            posts=(("stream", {"error": code}),),
            at=at,
            ends=("gateway failed",),
        )
        for at, code in zip(
            MOMENTS[1:], ("AUDIO_ERROR", "RATE_LIMITED", "AUDIO_ERROR"), strict=True
        )
    ),
    Trial(
        name="gateway-expels",
        posts=(("stream", {"expel": True}),),
        at="speech",
        ends=("gateway failed",),
    ),
    Trial(
        name="cut-after-chunks",
        faults={"cut_stream_after_chunks": 20},
        strikes=("cut_stream_after_chunks",),
        ends=("stream cut",),
    ),
    Trial(
        name="cut-after-packets",
        faults={"cut_reply_after_packets": 40},
        strikes=("cut_reply_after_packets",),
    ),
)
STREAM = (
    *(
        Trial(
            name=f"stream-{fault}",
            faults={fault: {"function": "stream", **how}, **_network(CUT_STREAM)},
            strikes=(fault, "cut"),
            ends=UNANSWERED,
        )
        for fault, how in (
            ("http_status", {"status": 502}),
            ("redirect", {"to": "ws://127.0.0.1:9/audio-stream"}),
        )
    ),
    Trial(
        name="stream-duplicate",
        faults={"duplicate_delivery": {"function": "stream"}},
        strikes=("duplicate_delivery",),
    ),
    *(
        Trial(
            name=f"stream-garbage-{kind}",
            faults={"garbage": {"function": "stream", "kind": kind}},
            strikes=("garbage",),
        )
        for kind in GARBAGE
    ),
)
TRIALS: Final = (
    *SLOWNESS,
    *CUTS,
    *SILENCES,
    *STALLS,
    *REFUSALS,
    *SERVER_ERRORS,
    *TOKENS,
    *DELIVERIES,
    *GARBLED,
    *GATEWAY,
    *STREAM,
)


Trials = Mapping[str, Future[Held]]
"""What comes of each trial, by its name."""


@pytest.fixture(scope="module")
def trials(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Trials]:
    """Begin each trial that is asked for in this run."""
    asked = {
        item.callspec.params["trial"].name  # type: ignore[attr-defined]
        for item in request.session.items
        if "trials" in getattr(item, "fixturenames", ())
    }
    # Compiled here and once: in a fresh tree each lane would do so, while it is measured.
    importlib.import_module("convex.http_client")
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(LANES, mp_context=context, initializer=begin_lane) as pool:
        yield {
            trial.name: pool.submit(hold, trial, tmp_path_factory.mktemp("trial"))
            for trial in TRIALS
            if trial.name in asked
        }
        pool.shutdown(cancel_futures=True)


def by_name(trials: Sequence[Trial]) -> pytest.MarkDecorator:
    """Make a test of each trial."""
    return pytest.mark.parametrize("trial", trials, ids=lambda trial: trial.name)


def survived(trial: Trial, trials: Trials) -> Held:
    """Check what holds after every trial, and return what came of this one."""
    found = trials[trial.name].result(PATIENCE_S)
    assert found.lag_ms < LAG_MS_MAX
    assert (found.failures, found.dropped, found.complaints, found.differs) == ({}, {}, [], "")
    assert found.outcome in {row.ends for row in ROWS}
    assert found.outcome in trial.ends
    assert not [leaf for leaf in found.states if leaf.startswith(("safety", "boot"))]
    for strike in trial.strikes:
        assert found.struck[strike] > 0, f"{strike} never struck: {found.struck}"
    assert list(found.put) == [row.record_id for row in found.reports]
    assert len(found.reports) == URGENT
    for row in found.reports:
        assert row.arguments.items() >= {**found.put[row.record_id], **WHO}.items()
    assert [row.record_id for row in found.metrics] == [
        f"{trial.name}-m{number:02}" for number in range(METRICS)
    ]
    assert [row.record_id for row in found.logs] == [
        f"{trial.name}-l{number:02}" for number in range(LOGS)
    ]
    assert found.set_aside == 0
    assert (found.next_outcome, found.volume_outcomes) == ("answered", ["done"])
    return found


@by_name(SLOWNESS)
def test_slow_network_and_one_that_loses_segments_are_survived(
    trial: Trial, trials: Trials
) -> None:
    """400 to 600 ms each way only take longer; with every tenth segment lost, a turn may be too."""
    survived(trial, trials)


@by_name(CUTS)
def test_cut_ends_the_turn_at_most_and_what_was_under_way_is_sent_again(
    trial: Trial, trials: Trials
) -> None:
    """And again, for as long as connections are cut; a reply is played as far as it came."""
    survived(trial, trials)


@by_name(SILENCES)
def test_connection_that_falls_silent_is_noticed_and_replaced(trial: Trial, trials: Trials) -> None:
    """By the stream's keep-alive, by each call's deadline, by the child's renewals."""
    survived(trial, trials)


@by_name(STALLS)
def test_cloud_that_accepts_and_never_answers_is_given_up_and_tried_again(
    trial: Trial, trials: Trials
) -> None:
    """Where it does not concern the stream, nobody who talks to the toy notices."""
    survived(trial, trials)


@by_name(REFUSALS)
def test_cloud_that_refuses_connections_leaves_a_toy_offline_until_it_is_there(
    trial: Trial, trials: Trials
) -> None:
    """Without a stream the toy answers itself, or says that it cannot."""
    survived(trial, trials)


@by_name(SERVER_ERRORS)
def test_server_that_breaks_down_is_asked_again_and_no_turn_suffers(
    trial: Trial, trials: Trials
) -> None:
    """Every call over HTTP fails for as long as the turn lasts."""
    survived(trial, trials)


@by_name(TOKENS)
def test_tokens_that_are_no_longer_taken_are_replaced(trial: Trial, trials: Trials) -> None:
    """Expired ones, fresh ones that count as expired, revoked ones, and those that last 2 s."""
    survived(trial, trials)


@by_name(DELIVERIES)
def test_what_is_carried_out_twice_yields_one_row(trial: Trial, trials: Trials) -> None:
    """Because its answer was lost, or because the network said it twice."""
    found = survived(trial, trials)
    assert max(row.deliveries for row in found.reports) > 1


@by_name(GARBLED)
def test_answers_that_are_none_are_survived_in_calls_and_live_queries(
    trial: Trial, trials: Trials
) -> None:
    """The call was carried out all the same: once, however often it is made again."""
    survived(trial, trials)


@by_name(GATEWAY)
def test_turn_that_the_gateway_fails_ends_with_an_apology_and_the_next_is_answered(
    trial: Trial, trials: Trials
) -> None:
    """It says nothing, says that it cannot, throws the toy out, or is gone in the middle."""
    survived(trial, trials)


@by_name(STREAM)
def test_stream_that_is_refused_or_says_what_it_must_not_costs_a_turn_at_most(
    trial: Trial, trials: Trials
) -> None:
    """A toy goes where no redirect points, and between what is no reply hears one to its end."""
    survived(trial, trials)
