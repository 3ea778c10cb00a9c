"""What the sweep finds out and records."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from django.db import transaction
from django.utils.timezone import now

from apps.jobs.ledger import rows
from apps.jobs.ledger.rows import DELIVERY, Retry
from apps.jobs.ledger.stages import LOST_WORKER
from apps.jobs.models import ACTIVE, OVER, Job, Segment
from contract.errors import ErrorCode


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
def reassemble_when_done(job_id: UUID) -> bool:
    """All segments are done and nobody said so; True for who should send concat."""
    job = rows.lock_job(job_id)
    return (
        job is not None
        and job.status == Job.Status.CHUNKED
        and rows.move_when_done(job_id)
    )


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


def note_tidied(job_id: UUID) -> bool:
    """Nothing is left of what only the work needed."""
    untidied = Job.objects.filter(pk=job_id, status__in=OVER, tidied_at=None)
    return untidied.update(tidied_at=now()) == 1
