"""Delete from the store what nobody needs any more of a job that is over."""

from __future__ import annotations

from uuid import UUID

from apps.jobs import ledger, storage
from apps.jobs.models import Job
from apps.jobs.parts import parts_of
from contract.keys import (
    results_prefix,
    segments_prefix,
    sources_prefix,
    stereo_segments_prefix,
)


def tidy(job_id: UUID) -> bool:
    """Idempotent; whether there was something to look after.

    A completed job keeps source and final, a cancelled one its source, a failed one all
    but what never became whole, a deleted one nothing. Raises `StereoSpotError` when the store refuses; the sweep asks again.
    """
    job = Job.objects.filter(pk=job_id, tidy_at__isnull=False).first()
    if job is None:
        return False
    with storage.translated():
        if job.status != Job.Status.COMPLETED:
            parts_of(storage.source()).clear(sources_prefix(job_id))
        if job.status != Job.Status.FAILED:
            _delete_objects(job)
    return ledger.note_tidied(job)


def _delete_objects(job: Job) -> None:
    completed = job.status == Job.Status.COMPLETED
    made = stereo_segments_prefix if completed else results_prefix
    if job.status == Job.Status.DELETED:
        storage.source().delete_prefix(sources_prefix(job.pk))
    storage.source().delete_prefix(segments_prefix(job.pk))
    storage.result().delete_prefix(made(job.pk))
