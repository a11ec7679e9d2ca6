"""The whole toy against everything that can go wrong far away; ``trial`` says what a trial is.

All trials are held before the first test that asks, beside each other: they consist of waiting,
mostly. Where a fault names no channel it strikes them all: calls over HTTP, the live queries'
socket, the audio stream.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from typing import Final

import pytest

from devcloud.garbage import GARBAGE
from states.table import ROWS
from tests.faults.trial import LOGS, METRICS, URGENT, Held, Trial, run_lane

LANES: Final = 4
LAG_MS_MAX: Final = 100.0
ESTABLISHED: Final = {"connections": "established", "cut_after_bytes": 0}
"""For faults that only new connections suffer: there are no others any more."""


def _network(*rules: Mapping[str, object]) -> dict[str, object]:
    return {"network": list(rules)}


LATENCY = (
    Trial(
        name="latency",
        faults=_network({"latency_ms": 400, "jitter_ms": 200}),
        strikes=("latency",),
    ),
    Trial(
        name="latency-sets-in-while-speaking",
        faults=_network({"latency_ms": 400, "jitter_ms": 200}),
        at="speech",
        strikes=("latency",),
    ),
)
LOSS = (
    Trial(name="loss", faults=_network({"loss_percent": 10}), strikes=("loss",)),
    Trial(
        name="loss-sets-in-while-speaking",
        faults=_network({"loss_percent": 10}),
        at="speech",
        strikes=("loss",),
    ),
)
CUT = (
    Trial(
        name="cut-speech", faults=_network({"cut_after_bytes": 0}), at="speech", strikes=("cut",)
    ),
    Trial(
        name="cut-waiting", faults=_network({"cut_after_bytes": 0}), at="waiting", strikes=("cut",)
    ),
    Trial(name="cut-reply", faults=_network({"cut_after_bytes": 0}), at="reply", strikes=("cut",)),
    Trial(name="cut-once-speech", faults=_network(ESTABLISHED), at="speech", strikes=("cut",)),
    *(
        Trial(
            name=f"cut-{channel}",
            faults=_network({"channel": channel, "cut_after_bytes": 0}),
            at="speech",
            strikes=("cut",),
        )
        for channel in ("http", "sync", "stream")
    ),
)
HALF_OPEN = (
    Trial(
        name="half-open-established",
        faults=_network({"connections": "established", "half_open": True}),
        at="speech",
        strikes=("half_open",),
    ),
    Trial(name="half-open", faults=_network({"half_open": True}), strikes=("half_open",)),
    Trial(
        name="half-open-reply",
        faults=_network({"half_open": True}),
        at="reply",
        strikes=("half_open",),
    ),
    *(
        Trial(
            name=f"half-open-{channel}",
            faults=_network({"channel": channel, "half_open": True}),
            at="speech",
            strikes=("half_open",),
        )
        for channel in ("http", "sync", "stream")
    ),
)
STALL = (
    Trial(
        name="stall",
        faults=_network({"accept_and_stall": True}, ESTABLISHED),
        at="before",
        strikes=("accept_and_stall", "cut"),
    ),
    *(
        Trial(
            name=f"stall-{channel}",
            faults=_network(
                {"channel": channel, "accept_and_stall": True}, {**ESTABLISHED, "channel": channel}
            ),
            strikes=("accept_and_stall", "cut"),
        )
        for channel in ("http", "sync", "stream")
    ),
)
REFUSED = (
    Trial(name="refused", faults=_network({"refuse": True}, ESTABLISHED), strikes=("refuse",)),
    Trial(
        name="refused-speech",
        faults=_network({"refuse": True}, ESTABLISHED),
        at="speech",
        strikes=("refuse",),
    ),
)
SERVER = (
    Trial(name="http-500", faults={"http_status": 500}, strikes=("http_status",)),
    Trial(name="http-503", faults={"http_status": 503}, at="speech", strikes=("http_status",)),
)
TOKENS = (
    Trial(name="expired", faults={"expire_tokens": True}, strikes=("expire_tokens",)),
    Trial(name="expired-once", faults={"expire_tokens": {"times": 2}}, strikes=("expire_tokens",)),
    Trial(name="revoked", posts=(("revoke", {}),)),
    Trial(name="revoked-speech", posts=(("revoke", {}),), at="speech"),
    Trial(
        name="revoked-and-refused",
        faults={"refuse_auth": True},
        posts=(("revoke", {}),),
        at="reply",
        strikes=("refuse_auth",),
    ),
    Trial(name="short-lived", faults={"token_lifetime_s": 2}, posts=(("revoke", {}),)),
)
DELIVERY = (
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
    Trial(name="no-reply", faults={"no_reply": True}, strikes=("no_reply",)),
    Trial(
        name="gateway-fails",
        posts=(("stream", {"error": "RATE_LIMITED"}),),
        at="waiting",
    ),
    Trial(name="gateway-fails-speech", posts=(("stream", {"error": "AUDIO_ERROR"}),), at="speech"),
    Trial(name="gateway-expels", posts=(("stream", {"expel": True}),), at="speech"),
    Trial(
        name="cut-after-chunks",
        faults={"cut_stream_after_chunks": 20},
        strikes=("cut_stream_after_chunks",),
    ),
    Trial(
        name="cut-after-packets",
        faults={"cut_reply_after_packets": 40},
        strikes=("cut_reply_after_packets",),
    ),
)
TRIALS: Final = (
    *LATENCY, *LOSS, *CUT, *HALF_OPEN, *STALL, *REFUSED, *SERVER, *TOKENS, *DELIVERY, *GARBLED,
    *GATEWAY,
)
