"""What the backends share that have something made elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

import structlog
from django.conf import settings
from django.db import connection

from apps.jobs import ledger
from apps.jobs.models import Invocation
from apps.pipeline.backends.base import Done, PausedError
from apps.pipeline.backends.calls import TICK
from apps.pipeline.backends.claims import Claimed
from apps.pipeline.leases import Lease, recorded
from contract.errors import StereoSpotError

log = structlog.get_logger(__name__)

Recorded = TypeVar("Recorded")

PAUSE = 15
"""Seconds before what was put back is looked at again."""
TURN_SECONDS = 5.0
"""Between two questions whether a server has its hands free."""


class Patience:
    """How long one may still wait for its turn in this worker."""

    def __init__(self, lease: Lease) -> None:
        self._lease = lease
        self._until = time.monotonic() + settings.INVOCATION_PATIENCE_SECONDS

    def wait(self) -> None:
        """Raises `PausedError` when it is used up, and what `Lease.check` does."""
        if time.monotonic() + TURN_SECONDS > self._until:
            raise PausedError(PAUSE)
        sleep(self._lease, TURN_SECONDS)


class Wait:
    """How long this task may wait for one answer; another one then goes on waiting."""

    def __init__(self, lease: Lease) -> None:
        self._lease = lease
        self._until = time.monotonic() + settings.INVOCATION_WAIT_SECONDS

    @property
    def is_over(self) -> bool:
        return time.monotonic() > self._until

    def check(self) -> None:
        self._lease.check()
        if self.is_over:
            raise PausedError(1)


def sleep(lease: Lease, seconds: float) -> None:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        lease.check()
        time.sleep(min(left, TICK))
    lease.check()


def noted(record: Callable[[], Recorded]) -> Recorded:
    """Ask the ledger, and keep no connection: many wait at once, and for long."""
    try:
        return recorded(record)
    finally:
        if not connection.in_atomic_block:
            connection.close()


def note_waiting(invocation: Invocation, *, is_waiting: bool) -> None:
    """Whether a GPU has it in hand; asks the ledger only when that has changed."""
    if invocation.is_waiting != is_waiting:
        noted(lambda: ledger.note_waiting(invocation, is_waiting=is_waiting))


def opened(
    claim: Claimed,
    lease: Lease,
    *,
    backend: str,
    lasting: timedelta,
    meanwhile: Callable[[], None] = lambda: None,
) -> Invocation:
    """The invocation for it, once so few are under way that it may be sent.

    `meanwhile` is called between two looks.
    """
    patience = Patience(lease)
    while True:
        invocation = noted(
            lambda: ledger.open_invocation(
                claim.owner, backend=backend, lasting=lasting
            )
        )
        if invocation is not None:
            return invocation
        meanwhile()
        patience.wait()


@contextmanager
def closing(invocation: Invocation, lease: Lease) -> Iterator[None]:
    """Around what is done with its answer: what came of it is recorded.

    Not when it was taken away meanwhile: then another attempt may have it.
    """
    outcome = Invocation.Outcome.FAILED
    try:
        yield
        outcome = Invocation.Outcome.OK
    finally:
        lease.check()
        noted(lambda: ledger.close_invocation(invocation, outcome))


def verified(claim: Claimed, lease: Lease, done: Done) -> Done:
    """The answer, after a look at the object that it speaks of.

    Raises `StereoSpotError` when it is missing or wrong. A wrong one is deleted: who made
    it would take it for the answer to the next attempt.
    """
    store, key = claim.target
    with store.local(key) as path:
        lease.check()
        try:
            claim.verify(path)
        except StereoSpotError:
            lease.check()
            store.delete(key)
            raise
    claim.count(claim.total - claim.done)
    return done
