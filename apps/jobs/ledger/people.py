"""What people ask for: start, cancel, delete, retry, cut again."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from django.db import transaction
from django.db.models import F, QuerySet
from django.utils.timezone import now

from apps.jobs.ledger import charges, quotas, rows
from apps.jobs.models import ACTIVE, STATUSES, Job, Segment


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
def fetch(job_id: UUID) -> bool:
    """Nobody brings the source: True for the one caller who should send ingest, or
    generate."""
    job = rows.lock_job(job_id)
    if job is None or job.origin is None:
        return False
    moved = rows.move(
        job_id, [Job.Status.CREATED], Job.Status.INGESTING, started_at=now()
    )
    if moved:
        rows.note(job_id, "generating" if job.get_prompt() else "fetching")
    return moved


@transaction.atomic
def cancel(job_id: UUID) -> bool:
    """Stop the job; its workers hear of it when they next renew their leases."""
    if rows.lock_job(job_id) is None:
        return False
    moved = rows.move(job_id, [Job.Status.CREATED, *ACTIVE], Job.Status.CANCELLED)
    if moved:
        rows.stop_segments(job_id)
        charges.give_back(job_id, is_theirs=True)
        rows.note(job_id, "cancelled")
    return moved


@transaction.atomic
def delete(job_id: UUID) -> bool:
    """Take the job from the person's sight at once; its objects, then its row, follow."""
    if rows.lock_job(job_id) is None:
        return False
    nothing = {"error_code": "", "error_message": "", "fingerprint": ""}
    others = [status for status in STATUSES if status != Job.Status.DELETED]
    moved = rows.move(job_id, others, Job.Status.DELETED, **nothing)
    if moved:
        rows.stop_segments(job_id)
        charges.give_back(job_id, is_theirs=True)
        rows.note(job_id, "deleted")
    return moved


@transaction.atomic
def retry(
    job_id: UUID,
    *,
    lost: Collection[int] = (),
    uncut: bool = False,
    unfetched: bool = False,
    within_quota: bool = False,
) -> Job | None:
    """Go on with a failed job from what is done; the job, for who should send for it.

    `lost` are segments whose stereo segment is gone though they were done; `uncut` says
    that segment objects are gone, so that everything begins with cutting; `unfetched`
    that the source is not there and can be fetched, or made. `within_quota`: raise
    `StereoSpotError` where its owner may have no more, as operators may.
    """
    asked = Job.objects.select_related("owner").filter(pk=job_id, status="failed")
    if within_quota and (failed := asked.first()):
        quotas.admit_again(failed)
    job = rows.lock_job(job_id)
    if job is None or job.status != Job.Status.FAILED:
        return None
    segments = Segment.objects.filter(job_id=job_id)
    if uncut:
        segments.delete()
    missing = segments.exclude(status=Segment.Status.DONE)
    missing |= segments.filter(index__in=list(lost))
    if segments.exists():
        target = Job.Status.CHUNKED if missing.exists() else Job.Status.REASSEMBLING
        charges.take_again(job_id)  # cutting asks again whether there is room
    else:
        target = Job.Status.INGESTING if unfetched else Job.Status.CHUNKING
    _start_afresh(missing)
    no_error = {"error_code": "", "error_message": ""}
    # A new attempt, so that its messages have ids of their own.
    rows.move(job_id, [Job.Status.FAILED], target, attempt=F("attempt") + 1, **no_error)
    rows.note(job_id, "retried")
    job.refresh_from_db()
    return job


def _start_afresh(segments: QuerySet[Segment]) -> None:
    segments.update(
        status=Segment.Status.PENDING,
        failures=0,
        seconds=None,
        finished_at=None,
        notify_at=now() + rows.DELIVERY,
    )


@transaction.atomic
def recut(job_id: UUID) -> Job | None:
    """Begin a conversion again with cutting; the job, for who should send chunk.

    For segment objects that are gone. Whoever converts one hears of it when he next
    renews his lease; stereo segments are made again, for the new cuts may be others.
    """
    job = rows.lock_job(job_id)
    if job is None or job.status != Job.Status.CHUNKED:
        return None
    Segment.objects.filter(job_id=job_id).delete()
    # A new attempt, so that its messages have ids of their own.
    again = F("attempt") + 1
    rows.move(job_id, [Job.Status.CHUNKED], Job.Status.CHUNKING, attempt=again)
    rows.note(job_id, "recut")
    job.refresh_from_db()
    return job
