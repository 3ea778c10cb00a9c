"""What is found out about files that people bring."""

from __future__ import annotations

from uuid import UUID

from django.db import transaction
from django.utils.timezone import now

from apps.jobs.ledger import people, rows
from apps.jobs.models import Job, Upload


@transaction.atomic
def note_arrived(upload: Upload) -> bool:
    """A file is whole in the store; True for the one caller who should send chunk."""
    rows.lock_job(upload.job_id)
    of_job = Upload.objects.filter(job_id=upload.job_id, arrived_at=None)
    of_job.filter(pk=upload.pk).update(arrived_at=now())
    return not of_job.exists() and people.start(upload.job_id)


@transaction.atomic
def take_back(job_id: UUID) -> bool:
    """Take a job away whose files the store has not begun to take; nobody was given it.

    So nobody hears of its end, and the same request makes it anew.
    """
    job = rows.lock_job(job_id)
    if job is None or job.uploads.exclude(handle="").exists():
        return False
    created, deleted = [Job.Status.CREATED], Job.Status.DELETED
    return rows.move_untold(job_id, created, deleted, request_id=None)


@transaction.atomic
def delete_waiting(job_id: UUID) -> bool:
    """Take a job away that still waits for its files."""
    job = rows.lock_job(job_id)
    return (
        job is not None and job.status == Job.Status.CREATED and people.delete(job_id)
    )
