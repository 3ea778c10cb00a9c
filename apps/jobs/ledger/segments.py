"""The unit of conversion: claimed with a lease, done, or tried again."""

from __future__ import annotations

from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.utils.timezone import now

from apps.jobs.ledger import rows
from apps.jobs.ledger.rows import DELIVERY, Refused, Retry
from apps.jobs.ledger.stages import LOST_WORKER
from apps.jobs.models import Job, Segment
from contract.errors import ErrorCode, StereoSpotError


@transaction.atomic
def claim_segment(job_id: UUID, index: int) -> Segment | Refused:
    """Take the segment for one attempt."""
    job = rows.lock_job(job_id)
    if job is None or job.status != Job.Status.CHUNKED:
        return Refused.OVER
    segment = rows.lock_segment(job_id, index)
    if segment is None or segment.status not in ("pending", "running"):
        return Refused.OVER
    if segment.status == Segment.Status.RUNNING:
        if rows.is_alive(segment.lease_expires_at):
            return Refused.TAKEN
        if not rows.fail_held_segment(segment, ErrorCode.LEASE_EXPIRED, LOST_WORKER):
            return Refused.OVER
    Segment.objects.filter(pk=segment.pk).update(
        status=Segment.Status.RUNNING,
        attempt=F("attempt") + 1,
        frames_done=0,
        lease_expires_at=rows.lease(),
        notify_at=None,
    )
    return Segment.objects.select_related("job").get(pk=segment.pk)


def renew_segment(segment: Segment, *, frames_done: int) -> bool:
    """The attempt lives; False when the job was stopped or it was given to another."""
    # Of the one row and no other table: after waiting for a lock PostgreSQL looks again
    # at the row's own columns only. Whoever stops a job takes its segments away.
    held = rows.held_segment(segment)
    return held.update(lease_expires_at=rows.lease(), frames_done=frames_done) == 1


def release_segment(segment: Segment) -> bool:
    """The worker has to stop: others may go on at once, and nobody has failed."""
    released = rows.held_segment(segment).update(
        status=Segment.Status.PENDING,
        lease_expires_at=None,
        notify_at=now() + DELIVERY,
    )
    return released == 1


@transaction.atomic
def finish_segment(segment: Segment, *, seconds: float, version: str) -> bool | Refused:
    """The stereo segment is there and verified; True for who finished the last one.

    `Refused.TAKEN` when it is not this attempt's any more.
    """
    # Without this lock two workers finishing the last two segments at once would each
    # fail to see the other's uncommitted row, and nobody would start the concat.
    job = rows.lock_job(segment.job_id)
    if job is None or job.status != Job.Status.CHUNKED:
        return Refused.TAKEN
    finished = rows.held_segment(segment).update(
        status=Segment.Status.DONE,
        lease_expires_at=None,
        seconds=seconds,
        finished_at=now(),
        engine_version=version,
        frames_done=F("frame_count"),
        error_code="",
        error_message="",
    )
    return rows.move_when_done(segment.job_id) if finished else Refused.TAKEN


@transaction.atomic
def fail_segment(segment: Segment, error: StereoSpotError) -> Retry | Refused | None:
    """The attempt failed: when to try again, or None when it is for good.

    `Refused.TAKEN` when it is not this attempt's any more.
    """
    rows.lock_job(segment.job_id)
    if not rows.held_segment(segment).exists():
        return Refused.TAKEN
    segment.refresh_from_db()
    return rows.fail_held_segment(segment, error.code, error.message)
