"""Count what happens, in any process, for metrics.

A count is kept in the process and added to its row now and then: after a task or a
request, and with each beat of a worker. Nothing waits for it and nothing fails of it; who
is killed loses what it counted in the last seconds.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import Counter
from typing import Any

from celery.signals import task_postrun
from django.core.signals import request_finished
from django.db import Error, connection

from workers import hearing

FLUSH_SECONDS = 15.0
"""Between two additions to the rows by one process."""

_ADD = """
    INSERT INTO monitoring_tally (name, label, value)
    SELECT * FROM unnest(%s::text[], %s::text[], %s::bigint[])
    ON CONFLICT (name, label)
    DO UPDATE SET value = monitoring_tally.value + EXCLUDED.value
"""

_lock = threading.Lock()
_counts: Counter[tuple[str, str]] = Counter()
_flushed = time.monotonic()


def count(name: str, label: str, number: int = 1) -> None:
    """`name` and `label` are words of the code: never of people or films."""
    with _lock:
        _counts[name, label] += number


def flush(**signal: Any) -> None:
    """Add what was counted to its rows, if that is due."""
    if time.monotonic() - _flushed >= FLUSH_SECONDS and not connection.in_atomic_block:
        flush_now()


def flush_now() -> None:
    global _flushed
    _flushed = time.monotonic()
    for operation, number in hearing.taken_calls().items():
        count("sqs_calls", operation, number)
    with _lock:
        taken = {key: number for key, number in _counts.items() if number}
        _counts.clear()
    if not taken:
        return
    # In order, so that two processes do not wait for each other.
    rows = sorted((name, label, number) for (name, label), number in taken.items())
    try:
        with connection.cursor() as cursor:
            cursor.execute(_ADD, [list(column) for column in zip(*rows, strict=True)])
    except Error:  # the database is away: the next time
        with contextlib.suppress(Error):
            connection.close()
        with _lock:
            _counts.update(taken)


def flush_with_beat() -> None:
    """In a thread that has no other use for a connection."""
    try:
        flush()
    finally:
        connection.close()


def _forget() -> None:
    """What was counted before a fork, the parent adds."""
    global _lock
    _lock = threading.Lock()
    _counts.clear()
    hearing.taken_calls()


os.register_at_fork(after_in_child=_forget)
task_postrun.connect(flush)
request_finished.connect(flush)
