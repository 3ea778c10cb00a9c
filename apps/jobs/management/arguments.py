"""What commands are told, checked before they do anything."""

from __future__ import annotations

from uuid import UUID

from django.core.management.base import CommandError

from apps.jobs.models import Job


def existing_job(text: str) -> Job:
    """The job with this id; raises `CommandError`, also when it is deleted."""
    try:
        job = Job.objects.filter(pk=UUID(text)).first()
    except ValueError:
        raise CommandError(
            f"{text!r} is no job's id: copy it from the address of the job's page."
        ) from None
    if job is None:
        raise CommandError(
            f"There is no job {text}: copy the id from the address of the job's page."
        )
    if job.status == Job.Status.DELETED:
        raise CommandError(f"“{job.title}” is deleted: convert the film anew.")
    return job
