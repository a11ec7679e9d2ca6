"""What a child process of the firmware sees to first: that it does no harm, and goes in time."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from typing import BinaryIO, Final

_PR_SET_PDEATHSIG: Final = 1  # prctl(2)


def claim_stdout() -> BinaryIO:
    """Take standard output for ourselves: what anything else prints goes nowhere.

    Native code of libraries prints what it likes, straight to file descriptor 1.
    """
    ours = os.dup(sys.stdout.fileno())
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
    return open(ours, "wb")  # noqa: PTH123 - for as long as the process lives


def bound_memory(bytes_max: int) -> None:
    """Have the kernel refuse more memory than this process may take: setrlimit(2).

    It then ends, by whatever fails first, and its parent sees to that.
    """
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    limit = bytes_max if most == resource.RLIM_INFINITY else min(most, bytes_max)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent ends, however that ends: prctl(2).

    The parent is the thread that started it: the one on which the loop runs.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
