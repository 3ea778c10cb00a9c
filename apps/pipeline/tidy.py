"""Delete from the store what nobody needs any more of a job that is over."""

from __future__ import annotations

from uuid import UUID

from apps.jobs import ledger, storage
from apps.jobs.models import Job
from contract.keys import (
    results_prefix,
    segments_prefix,
    sources_prefix,
    stereo_segments_prefix,
)


def tidy(job_id: UUID) -> bool:
    """Idempotent; whether there was something to look after.

    A completed job keeps source and final, a cancelled one its source, a deleted one
    nothing. Raises `StereoSpotError` when the store refuses; the sweep asks again.
    """
    job = Job.objects.filter(pk=job_id, tidy_at__isnull=False).first()
    if job is None:
        return False
    completed = job.status == Job.Status.COMPLETED
    made = stereo_segments_prefix if completed else results_prefix
    with storage.translated():
        if job.status == Job.Status.DELETED:
            storage.source().delete_prefix(sources_prefix(job_id))
        storage.source().delete_prefix(segments_prefix(job_id))
        storage.result().delete_prefix(made(job_id))
    return ledger.note_tidied(job)
