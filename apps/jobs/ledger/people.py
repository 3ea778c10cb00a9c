"""What people ask for: start, cancel, retry."""

from __future__ import annotations

from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.utils.timezone import now

from apps.jobs.ledger import rows
from apps.jobs.models import ACTIVE, Job, Segment


@transaction.atomic
def start(job_id: UUID) -> bool:
    """The source is in the store; True for the one caller who should send chunk."""
    moved = rows.move(
        job_id, [Job.Status.CREATED], Job.Status.CHUNKING, started_at=now()
    )
    if moved:
        rows.note(job_id, "started")
    return moved


@transaction.atomic
def cancel(job_id: UUID) -> bool:
    """Stop the job; its workers hear of it when they next renew their leases."""
    if rows.lock_job(job_id) is None:
        return False
    moved = rows.move(job_id, [Job.Status.CREATED, *ACTIVE], Job.Status.CANCELLED)
    if moved:
        rows.stop_segments(job_id)
        rows.note(job_id, "cancelled")
    return moved


@transaction.atomic
def retry(job_id: UUID) -> Job | None:
    """Go on with a failed job from what is done; the job, for who should send for it."""
    job = rows.lock_job(job_id)
    if job is None or job.status != Job.Status.FAILED:
        return None
    segments = Segment.objects.filter(job_id=job_id)
    missing = segments.exclude(status=Segment.Status.DONE)
    if not segments.exists():
        target = Job.Status.CHUNKING
    elif missing.exists():
        target = Job.Status.CHUNKED
    else:
        target = Job.Status.REASSEMBLING
    missing.update(
        status=Segment.Status.PENDING, failures=0, notify_at=now() + rows.DELIVERY
    )
    no_error = {"error_code": "", "error_message": ""}
    # A new attempt, so that its messages have ids of their own.
    rows.move(job_id, [Job.Status.FAILED], target, attempt=F("attempt") + 1, **no_error)
    rows.note(job_id, "retried")
    job.refresh_from_db()
    return job
