"""Which connections to the database a worker keeps from task to task (decision 26)."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from celery.signals import task_postrun, task_prerun
from django.db import close_old_connections, connection, connections

IDLE = 60.0
"""Seconds; a connection that was idle for longer may have died, and nobody noticed."""


def look_after(**signal: Any) -> None:
    """Before a task: what is too old, or does not answer, is replaced when it is needed."""
    if not _is_within_transaction():
        close_old_connections()


def put_away(**signal: Any) -> None:
    """After a task: a thread of a pool may have nothing to do for long, and is one of
    many. A process of the prefork pool works in its main thread, and keeps its own."""
    in_a_pool = threading.current_thread() is not threading.main_thread()
    if in_a_pool and not _is_within_transaction():
        connections.close_all()


@contextmanager
def unused() -> Iterator[None]:
    """What lasts inside needs no connection of its caller's."""
    begun = time.monotonic()
    try:
        yield
    finally:
        if time.monotonic() - begun > IDLE and not connection.in_atomic_block:
            connection.close()


def _is_within_transaction() -> bool:
    """Of a test: tasks end theirs."""
    return connection.in_atomic_block


task_prerun.connect(look_after)
task_postrun.connect(put_away)
