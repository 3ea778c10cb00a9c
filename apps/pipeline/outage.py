"""Finish a task through an outage of the database.

Celery takes a database error for an error of the task: it acknowledges the message, and
both the outcome of the work and the message are lost. So whoever needs the database waits
here until it is back: without it there is nothing to do for a worker but to wait.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

import structlog
from celery.exceptions import Reject
from django.db import InterfaceError, InternalError, OperationalError, connections

from workers import drain

log = structlog.get_logger(__name__)

Answer = TypeVar("Answer")

# A server that has just become a replica answers with an InternalError.
OUTAGE = (OperationalError, InterfaceError, InternalError)
PAUSES = (0.0, 0.5, 1.0, 2.0, 5.0)
"""Seconds before the second attempt, the third, …; the last one stays."""
PASSING = ("08", "25006", "40", "53300", "55P03", "57P")
"""SQLSTATEs, or how they begin, that go away by themselves: connections, a replica,
serialization, too many clients, a lock, a shutdown. Not a statement that took too long."""
TICK = 0.25
"""Seconds within which a pause ends when the worker is told to stop."""

_saying = threading.Lock()
_said = float("-inf")


def outlast(action: Callable[[], Answer], *, using: str, grace: float = 0.0) -> Answer:
    """Do `action`, again and again while the database `using` does not answer.

    It has to be one that may be repeated. Inside a transaction the error is raised: what
    came before would have to be repeated, too. `grace` seconds after the worker was told
    to stop, raises `Reject`: the message goes back to its queue.
    """
    attempts = 0
    while True:
        try:
            return action()
        except OUTAGE as error:
            connection = connections[using]
            if connection.in_atomic_block or not _is_passing(error):
                raise
            connection.close()
            _say(error)
            _pause(PAUSES[min(attempts, len(PAUSES) - 1)], grace)
            attempts += 1
            if drain.is_over(grace):
                raise Reject(error, requeue=True) from error


def _is_passing(error: BaseException) -> bool:
    state = getattr(error.__cause__, "sqlstate", None)
    return state is None or state.startswith(PASSING)


def _pause(seconds: float, grace: float) -> None:
    end = time.monotonic() + seconds
    while not drain.is_over(grace) and (left := end - time.monotonic()) > 0:
        time.sleep(min(left, TICK))


def _say(error: Exception) -> None:
    """Log it, at most once a second in this process, however many tasks wait."""
    global _said
    with _saying:
        if time.monotonic() - _said < 1:
            return
        _said = time.monotonic()
    log.warning("the database does not answer, trying again", error=str(error))
