"""Tries a wake word, in a process of its own: ``python -m firmware.voice.wake.child``.

It takes minutes of computing, and what it is given may be anything: a hostile model ends this
process and nothing else. The job comes on standard input, one line of JSON: arguments of a process
can be read by others. The answer goes to standard output, as one line:

===================================  ===========================================
``{"phrase": "hello teddy bear"}``   the job: a phrase
``{"model": "/data/word.tflite"}``   the job: a model's file
``{"facts": {…}}``                   accepted: the facts of `prepared.Prepared`
``{"refused": "too_short"}``         refused, with the reason
===================================  ===========================================

Besides, a job names its `parent`, which it does not outlive.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Final

from firmware.child_process import bound_memory, claim_stdout, die_with_parent
from firmware.voice.errors import WakeWordRefusedError

EXIT_ORPHAN: Final = 3
"""The parent was gone before this process could tie itself to it."""

MEMORY_BYTES_MAX: Final = 335_544_320
"""What this process may take."""
NICENESS: Final = 19
JOB_BYTES_MAX: Final = 8_192


def main() -> int:
    """Do the job."""
    out = claim_stdout()
    die_with_parent()
    bound_memory(MEMORY_BYTES_MAX)
    os.nice(NICENESS)
    job = json.loads(sys.stdin.buffer.readline(JOB_BYTES_MAX))
    if os.getppid() != job["parent"]:
        return EXIT_ORPHAN
    try:
        answer: dict[str, object] = {"facts": _tried(job)}
    except WakeWordRefusedError as refusal:
        answer = {"refused": refusal.reason}
    with out:
        out.write(json.dumps(answer).encode() + b"\n")
    return 0


def _tried(job: dict[str, object]) -> dict[str, object]:
    # Once the process is bounded: these are what it loads most.
    try:
        from pocketsphinx import get_model_path  # noqa: PLC0415

        from firmware.voice.wake.calibration import calibrate  # noqa: PLC0415
        from firmware.voice.wake.model_trial import try_model  # noqa: PLC0415
        from firmware.voice.wake.phrase import parse  # noqa: PLC0415
        from firmware.voice.wake.prepared import Prepared  # noqa: PLC0415
    except (ImportError, OSError) as error:
        raise WakeWordRefusedError("unavailable") from error
    dictionary = Path(get_model_path("en-us/cmudict-en-us.dict"))
    if "model" in job:
        return Prepared(try_model(Path(str(job["model"])), dictionary)).to_facts()
    return Prepared(calibrate(parse(str(job["phrase"]), dictionary), dictionary)).to_facts()


if __name__ == "__main__":
    sys.exit(main())
