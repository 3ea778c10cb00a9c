"""Sources that lie in the store, though whoever brought them may not live to say so."""

from __future__ import annotations

import structlog

from apps.jobs import ledger, storage
from apps.jobs.models import Job
from apps.pipeline import messages

log = structlog.get_logger(__name__)


def start_if_arrived(job: Job) -> bool:
    """Note which of a waiting job's files are whole; whether it starts with that."""
    if not _all_arrived(job):
        return False
    started = Job.objects.get(pk=job.pk)
    messages.send_stage(started)
    log.info("source arrived", job_id=str(job.pk))
    return True


def _all_arrived(job: Job) -> bool:
    """True for the one who finds that nothing is missing any more."""
    store = storage.source()
    uploads = list(job.uploads.all())
    if not uploads:  # by hand, or by a program that puts the object there itself
        keys = [job.source_key, *([job.depth_key] if job.depth_key else [])]
        return all(storage.size(store, key) for key in keys) and ledger.start(job.pk)
    coming = [upload for upload in uploads if upload.arrived_at is None]
    whole = [each for each in coming if storage.size(store, each.key) == each.size]
    return any(ledger.note_arrived(upload) for upload in whole)
