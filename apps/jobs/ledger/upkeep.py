"""What the sweep finds out and records."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils.timezone import now

from apps.jobs.ledger import rows
from apps.jobs.ledger.rows import DELIVERY, Retry
from apps.jobs.ledger.stages import LOST_WORKER
from apps.jobs.models import ACTIVE, Job, Segment
from contract.errors import ErrorCode

TIDYING = timedelta(minutes=10)
"""How long a request to tidy up may wait for a worker. It is in no hurry, and asked again
sooner, requests would outnumber what a busy queue gets done."""
NEVER_CAME = "The film never arrived: upload it again."


@transaction.atomic
def expire_stage(job_id: UUID) -> Retry | None:
    """Record that the worker of a stage was lost, if its lease has run out."""
    job = rows.lock_job(job_id)
    if job is None or job.lease_expires_at is None:
        return None
    if rows.is_alive(job.lease_expires_at):
        return None
    return rows.fail_held_stage(job, ErrorCode.LEASE_EXPIRED, LOST_WORKER)


@transaction.atomic
def expire_segment(job_id: UUID, index: int) -> Retry | None:
    """Record that the worker of a segment was lost, if its lease has run out."""
    rows.lock_job(job_id)
    segment = rows.lock_segment(job_id, index)
    if segment is None or segment.status != Segment.Status.RUNNING:
        return None
    if rows.is_alive(segment.lease_expires_at):
        return None
    return rows.fail_held_segment(segment, ErrorCode.LEASE_EXPIRED, LOST_WORKER)


@transaction.atomic
def abandon(job_id: UUID) -> bool:
    """The source never came."""
    job = rows.lock_job(job_id)
    if job is None or job.status != Job.Status.CREATED:
        return False
    rows.fail_job(job_id, ErrorCode.SOURCE_MISSING, NEVER_CAME)
    # Of what did come nobody can make use.
    Job.objects.filter(pk=job_id).update(tidy_at=now() + DELIVERY)
    return True


def note_delivered(job_id: UUID, path: str) -> None:
    """A person of this machine has the final in a file of their own."""
    rows.note(job_id, "delivered", path)


@transaction.atomic
def begin_afresh() -> None:
    """No worker lives and no message is under way: all work is free, nobody has failed.

    Only for who knows it: one machine, before it starts the only queue and workers.
    """
    due = {"lease_expires_at": None, "notify_at": now()}
    Job.objects.filter(status__in=ACTIVE).update(**due)
    undone = Segment.objects.filter(status__in=["pending", "running"])
    undone.update(status=Segment.Status.PENDING, **due)


def note_sent(job_id: UUID, indexes: Sequence[int] | None = None) -> None:
    """The message of the job's stage, or of these segments, is about to be sent again.

    No status changes, so no lock: at worst a message is sent once more than needed.
    """
    due = now() + DELIVERY
    if indexes is None:
        Job.objects.filter(pk=job_id, status__in=ACTIVE).update(notify_at=due)
    else:
        Segment.objects.filter(
            job_id=job_id, index__in=indexes, status=Segment.Status.PENDING
        ).update(notify_at=due)


def note_tidying(job_ids: Collection[UUID]) -> None:
    """Somebody was asked to tidy up; to be asked again, should nothing come of it."""
    Job.objects.filter(pk__in=job_ids, tidy_at__isnull=False).update(
        tidy_at=now() + TIDYING
    )


@transaction.atomic
def note_tidied(job: Job) -> bool:
    """Nothing was left in the store of what `job`, in its state, does not need.

    Whoever had been working on it may still write for as long as nothing stops him, so
    the store is looked at twice more: once all have heard of it, and once none can be
    left. Then the row of a deleted job goes as well.
    """
    locked = rows.lock_job(job.pk)
    if locked is None or locked.status != job.status or locked.finished_at is None:
        return False
    again = _next_look(locked.finished_at)
    if again is None and locked.status == Job.Status.DELETED:
        locked.delete()
        return True
    return Job.objects.filter(pk=job.pk).update(tidy_at=again) == 1


def _next_look(finished_at: datetime) -> datetime | None:
    pauses = (2 * settings.LEASE_SECONDS, settings.LATE_WRITER_SECONDS)
    looks = (finished_at + timedelta(seconds=pause) for pause in pauses)
    return next((look for look in looks if look > now()), None)
