"""Delete what only the work needed of a job that is over; source and final stay."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.utils.timezone import now

from apps.jobs import ledger, storage
from apps.jobs.models import Job
from contract.keys import results_prefix, segments_prefix, stereo_segments_prefix


def tidy(job_id: UUID) -> bool:
    """Idempotent; a failed job keeps its segments, for *Retry* goes on from them."""
    settled = now()
    cancelled = Job.objects.filter(pk=job_id, status=Job.Status.CANCELLED).exists()
    if cancelled:
        # A worker may still write for as long as it has not heard of it.
        settled -= timedelta(seconds=2 * settings.LEASE_SECONDS)
    job = Job.objects.filter(
        pk=job_id,
        status__in=[Job.Status.COMPLETED, Job.Status.CANCELLED],
        finished_at__lte=settled,
        tidied_at=None,
    )
    if not job.exists():
        return False
    storage.source().delete_prefix(segments_prefix(job_id))
    made = results_prefix(job_id) if cancelled else stereo_segments_prefix(job_id)
    storage.result().delete_prefix(made)
    return ledger.note_tidied(job_id)
