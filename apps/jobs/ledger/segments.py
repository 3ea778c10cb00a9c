"""The unit of conversion: claimed with a lease, done, or tried again."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.utils.timezone import now

from apps.jobs.ledger import rows
from apps.jobs.ledger.rows import DELIVERY, Refused, Retry
from apps.jobs.ledger.stages import LOST_WORKER
from apps.jobs.models import Job, Segment
from contract.errors import ErrorCode, StereoSpotError


def claim_segment(job_id: UUID, index: int) -> Segment | Refused:
    """Take the segment for one attempt."""
    claimed = _claim(job_id, index, lock=rows.lock_job_shared)
    if claimed is not None:
        return claimed
    # A dead worker's attempt may fail the job, and that nobody may do beside others.
    claimed = _claim(job_id, index, lock=rows.lock_job)
    return Refused.OVER if claimed is None else claimed


@transaction.atomic
def _claim(
    job_id: UUID, index: int, *, lock: Callable[[UUID], Job | None]
) -> Segment | Refused | None:
    """None: the worker that had it is lost, and the lock is one that others share."""
    job = lock(job_id)
    if job is None or job.status != Job.Status.CHUNKED:
        return Refused.OVER
    segment = rows.lock_segment(job_id, index)
    if segment is None or segment.status not in ("pending", "running"):
        return Refused.OVER
    if segment.status == Segment.Status.RUNNING:
        if rows.is_alive(segment.lease_expires_at):
            return Refused.TAKEN
        if lock is not rows.lock_job:
            return None
        if not rows.fail_held_segment(segment, ErrorCode.LEASE_EXPIRED, LOST_WORKER):
            return Refused.OVER
        segment.refresh_from_db()
    segment.job = job
    segment.status = Segment.Status.RUNNING
    segment.attempt += 1
    segment.frames_done = 0
    segment.lease_expires_at = rows.lease()
    segment.notify_at = None
    segment.save(
        update_fields=[
            "status",
            "attempt",
            "frames_done",
            "lease_expires_at",
            "notify_at",
        ]
    )
    return segment


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


def finish_segment(segment: Segment, *, seconds: float, version: str) -> bool | Refused:
    """The stereo segment is there and verified; True for who finished the last one.

    `Refused.TAKEN` when it is not this attempt's any more. Not for use in a transaction.
    """
    # Without the job's lock, for which all its workers would wait: whoever stops a job
    # takes its segments away.
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
    if not finished:
        return Refused.TAKEN
    # That is committed. So of two who finish the last two at once, one at least sees that
    # none is missing; which of them starts the concat is decided under the job's lock.
    return not rows.is_any_missing(segment.job_id) and reassemble_when_done(
        segment.job_id
    )


@transaction.atomic
def reassemble_when_done(job_id: UUID) -> bool:
    """Go on once no segment is missing; True for who should send concat."""
    job = rows.lock_job(job_id)
    if job is None or job.status != Job.Status.CHUNKED or rows.is_any_missing(job_id):
        return False
    moved = rows.move(job_id, [Job.Status.CHUNKED], Job.Status.REASSEMBLING)
    if moved:
        rows.note(job_id, "converted")
    return moved


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
