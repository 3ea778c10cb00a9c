"""Look at every job that should move, and send again what it waits for in vain.

For each state there is a proof of life: a lease that is renewed, or a message that is
younger than a delivery takes or waits in a queue that is not empty. Where neither is,
the message was lost or its worker died.
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

from apps.jobs import ledger
from apps.jobs.models import Job, Segment
from apps.pipeline import messages

log = structlog.get_logger(__name__)

LOCK = 0x53_53_57_50
"""PostgreSQL advisory lock: one sweep at a time in the whole system."""
BATCH = 500
"""Most rows of a kind that one sweep treats; the next one goes on."""
PATIENCE = timedelta(minutes=15)
"""How long a message may wait in a queue that is not empty before it counts as lost."""


def sweep() -> dict[str, int]:
    """Do one round; how many of what were found. Empty when another one is at work."""
    with _alone() as alone:
        if not alone:
            return {}
        found = {
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
    silent = Job.objects.filter(
        _is_lost("media"),
        status__in=[Job.Status.CHUNKING, Job.Status.REASSEMBLING],
        lease_expires_at=None,
    )[:BATCH]
    for job in silent:
        ledger.note_sent(job.pk)
        messages.send_stage(job)
    return len(silent)


def _silent_segments() -> int:
    silent = Segment.objects.filter(
        _is_lost("gpu"),
        status=Segment.Status.PENDING,
        job__status=Job.Status.CHUNKED,
    ).order_by("notify_at")[:BATCH]
    indexes: dict[UUID, list[int]] = defaultdict(list)
    for segment in silent:
        indexes[segment.job_id].append(segment.index)
    for job_id, lost in indexes.items():
        ledger.note_sent(job_id, lost)
    for segment in silent:
        messages.send_segment(segment.job_id, segment.index, attempt=segment.attempt)
    return len(silent)


def _is_lost(queue: str) -> Q:
    """Due, and the queue has nothing that could be it; or due for long."""
    due = now() if messages.is_empty(queue) else now() - PATIENCE
    return Q(notify_at__lte=due)


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
