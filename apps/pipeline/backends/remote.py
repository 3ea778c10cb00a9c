"""What the backends share that have a segment converted elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import structlog
from django.conf import settings
from django.db import connection

from apps.jobs import ledger, storage
from apps.jobs.models import Invocation, Segment
from apps.pipeline.backends.base import PausedError, SegmentClaim, conversion_of
from apps.pipeline.backends.calls import TICK
from apps.pipeline.leases import Lease, recorded
from apps.pipeline.media.verify import verify_segment
from contract.errors import StereoSpotError
from contract.invocation import Completed
from contract.invocation import Invocation as Request

log = structlog.get_logger(__name__)

Recorded = TypeVar("Recorded")

PAUSE = 15
"""Seconds before a segment that was put back is looked at again."""
TURN_SECONDS = 5.0
"""Between two questions whether a server has its hands free."""


class Patience:
    """How long a segment may still wait for its turn in this worker."""

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
    claim: SegmentClaim,
    lease: Lease,
    *,
    backend: str,
    lasting: timedelta,
    meanwhile: Callable[[], None] = lambda: None,
) -> Invocation:
    """The segment's invocation, once so few are under way that it may be sent.

    `meanwhile` is called between two looks.
    """
    patience = Patience(lease)
    while True:
        invocation = noted(
            lambda: ledger.open_invocation(
                claim.segment, backend=backend, lasting=lasting
            )
        )
        if invocation is not None:
            return invocation
        meanwhile()
        patience.wait()


def request_for(segment: Segment) -> Request:
    """The body that asks for the segment's conversion."""
    source, result = storage.source(), storage.result()
    depth = segment.depth_key
    return Request.of(
        conversion_of(segment),
        input_uri=uri(source, segment.source_key),
        output_uri=uri(result, segment.stereo_key),
        depth_uri=depth and uri(source, depth),
        attempt=segment.attempt,
        linger_seconds=settings.INVOCATION_LINGER_SECONDS,
    )


def uri(store: storage.Disk | storage.Bucket, key: str) -> str:
    """Where the object lies, for another process: `file://` or `s3://`."""
    if isinstance(store, storage.Disk):
        return Path(store.path(key)).as_uri()
    return f"s3://{store.bucket_name}/{key}"


@contextmanager
def closing(invocation: Invocation, lease: Lease) -> Iterator[None]:
    """Around what is done with its answer: what came of it is recorded.

    Not when the segment was taken away meanwhile: then another attempt may have it.
    """
    outcome = Invocation.Outcome.FAILED
    try:
        yield
        outcome = Invocation.Outcome.OK
    finally:
        lease.check()
        noted(lambda: ledger.close_invocation(invocation, outcome))


def verified(claim: SegmentClaim, lease: Lease, completed: Completed) -> Completed:
    """The answer, after a look at the object that it speaks of.

    Raises `StereoSpotError` when it is missing or wrong. A wrong one is deleted: who made
    it would take it for the answer to the next attempt.
    """
    segment = claim.segment
    wanted = conversion_of(segment)
    with storage.result().local(segment.stereo_key) as path:
        lease.check()
        try:
            verify_segment(path, wanted.frames, wanted.picture, wanted.mode)
        except StereoSpotError:
            lease.check()
            storage.result().delete(segment.stereo_key)
            raise
    claim.count(completed.frames)
    return completed
