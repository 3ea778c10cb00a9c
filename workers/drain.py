"""Tell the tasks of a worker that it has to stop, and how long it may still take.

Fargate and Spot send SIGTERM and some time later SIGKILL. Celery waits for running tasks
without end; ours ask `seconds_left` now and then, and put their message back when they
cannot finish in time.
"""

from __future__ import annotations

import mmap
import struct
import time
from typing import Any

from celery.signals import worker_shutting_down

_TIME = struct.Struct("d")
_begun = mmap.mmap(-1, _TIME.size)
"""When SIGTERM came, by the machine's monotonic clock, or 0. Anonymous shared memory:
the signal reaches a worker's first process, the tasks run in its forked children."""


def begin(**signal: Any) -> None:
    """The worker has been told to stop; told again, it has no more time than before."""
    if seconds_left(0.0) is None:
        _TIME.pack_into(_begun, 0, time.monotonic())


def seconds_left(grace: float) -> float | None:
    """Of the grace that SIGTERM has begun; None while the worker is to go on."""
    (begun,) = _TIME.unpack_from(_begun)
    return begun + grace - time.monotonic() if begun else None


def is_over(grace: float) -> bool:
    """Whether the worker has been told to stop, and the grace is used up."""
    left = seconds_left(grace)
    return left is not None and left <= 0


worker_shutting_down.connect(begin)
