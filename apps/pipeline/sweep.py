"""Look at every job that should move, and send again what it waits for in vain.

For each state there is a proof of life: a lease that is renewed, a message that is
younger than a delivery takes, or a queue that holds as many messages as are expected.
Where none is, a message was lost or a worker died.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

import structlog
from django.db import connection
from django.db.models import Exists, OuterRef, Q
from django.utils.timezone import now

from apps.jobs import ledger, storage
from apps.jobs.models import Job, Segment
from apps.pipeline import messages

log = structlog.get_logger(__name__)

LOCK = 0x53_53_57_50
"""PostgreSQL advisory lock: one sweep at a time in the whole system."""
BATCH = 500
"""Most rows of a kind that one sweep treats; the next one goes on."""
PATIENCE = timedelta(minutes=15)
"""How long a message may wait in a queue that holds fewer than are expected."""
ARRIVAL = timedelta(minutes=5)
"""How long after its job's row a source may still be on its way into the store."""


def sweep() -> dict[str, int]:
    """Do one round; how many of what were found. Empty when another one is at work."""
    with _alone() as alone:
        if not alone:
            return {}
        found = {
            "sources that nobody had reported": _arrived_sources(),
            "stages whose worker was lost": _expired_stages(),
            "segments whose worker was lost": _expired_segments(),
            "jobs whose segments were all done": _finished_conversions(),
            "stages whose message was lost": _silent_stages(),
            "segments whose message was lost": _silent_segments(),
            "jobs to tidy": _untidied(),
        }
    if any(found.values()):
        log.info("swept", **{name: n for name, n in found.items() if n})
    return found


@contextlib.contextmanager
def _alone() -> Iterator[bool]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [LOCK])
        (alone,) = cursor.fetchone() or (False,)
        try:
            yield alone
        finally:
            if alone:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK])


def _expired_stages() -> int:
    expired = Job.objects.filter(lease_expires_at__lte=now())[:BATCH]
    count = 0
    for job in expired:
        if again := ledger.expire_stage(job.pk):
            messages.send_stage(job, pause=again.pause)
            count += 1
    return count


def _expired_segments() -> int:
    expired = Segment.objects.filter(
        status=Segment.Status.RUNNING, lease_expires_at__lte=now()
    )[:BATCH]
    count = 0
    for segment in expired:
        if again := ledger.expire_segment(segment.job_id, segment.index):
            messages.send_segment(
                segment.job_id,
                segment.index,
                attempt=segment.attempt,
                pause=again.pause,
            )
            count += 1
    return count


def _finished_conversions() -> int:
    missing = Segment.objects.filter(job=OuterRef("pk")).exclude(status="done")
    done = Job.objects.filter(~Exists(missing), status=Job.Status.CHUNKED)[:BATCH]
    count = 0
    for job in done:
        if ledger.reassemble_when_done(job.pk):
            messages.send_stage(Job.objects.get(pk=job.pk))
            count += 1
    return count


def _silent_stages() -> int:
    waiting = Job.objects.filter(
        status__in=[Job.Status.CHUNKING, Job.Status.REASSEMBLING],
        lease_expires_at=None,
    )
    silent = waiting.filter(_is_lost("media", waiting.count()))[:BATCH]
    for job in silent:
        ledger.note_sent(job.pk)
        messages.send_stage(job)
    return len(silent)


def _silent_segments() -> int:
    waiting = Segment.objects.filter(
        status=Segment.Status.PENDING, job__status=Job.Status.CHUNKED
    )
    lost = _is_lost("gpu", waiting.count())
    silent = waiting.filter(lost).order_by("notify_at", "job", "index")[:BATCH]
    indexes: dict[UUID, list[int]] = defaultdict(list)
    for segment in silent:
        indexes[segment.job_id].append(segment.index)
    for job_id, of_job in indexes.items():
        ledger.note_sent(job_id, of_job)
    for segment in silent:
        messages.send_segment(segment.job_id, segment.index, attempt=segment.attempt)
    return len(silent)


def _is_lost(queue: str, expected: int) -> Q:
    """Which of the `expected` messages are not in the queue any more.

    None, if it holds as many; all that are due, if it is empty. Between the two nobody
    knows which: those that have been due for long.
    """
    found = messages.waiting(queue)
    if found >= expected:
        return Q(pk__in=[])
    return Q(notify_at__lte=now() - (PATIENCE if found else timedelta()))


def _arrived_sources() -> int:
    """Jobs whose source is there, but whoever brought it died before it said so."""
    created = Job.objects.filter(
        status=Job.Status.CREATED,
        created_at__range=(now() - timedelta(days=1), now() - ARRIVAL),
    )[:BATCH]
    count = 0
    for job in created:
        arrived = storage.size(storage.source(), job.source_key) is not None
        if arrived and ledger.start(job.pk):
            messages.send_stage(Job.objects.get(pk=job.pk))
            count += 1
    return count


def _untidied() -> int:
    over = [Job.Status.COMPLETED, Job.Status.CANCELLED]
    untidied = Job.objects.filter(
        status__in=over,
        tidied_at=None,
        finished_at__lte=now() - timedelta(minutes=2),
    )[:BATCH]
    for job in untidied:
        messages.send_tidy(job.pk)
    return len(untidied)
