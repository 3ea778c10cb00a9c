"""A task of Story IV is as far as its jobs are: written beside each change of theirs.

Lock order: the job's row, then its task's. Of two jobs of a task whichever comes second
sees what the first has done.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from django.db.models import F
from django.utils.timezone import now

from apps.jobs.models import Job, VideoClip, VideoTask
from contract.story import TaskStatus

GONE = "The job of a clip was deleted."
CANCELLED = "The job of a clip was cancelled."


class Standing(NamedTuple):
    """What the jobs of a task say about it."""

    status: TaskStatus
    reason: str = ""
    is_made: bool = False
    """Every clip is there, to be handed over."""


def follow(job_id: UUID) -> None:
    """The job has moved, or was begun: note what that is for its task, if it has one.

    In the caller's transaction, with the job's row locked. A completed task stays so; a
    failed one goes on when the job that failed does.
    """
    clip = VideoClip.objects.filter(job_id=job_id).first()
    if clip is None:
        return
    task = VideoTask.objects.select_for_update(no_key=True).get(pk=clip.task_id)
    if task.status == TaskStatus.COMPLETED:
        return
    standing = standing_of([each.job for each in task.clips.select_related("job")])
    if standing.status == task.status and not standing.is_made:
        return
    VideoTask.objects.filter(pk=task.pk).update(
        status=standing.status,
        reason=standing.reason,
        # Also of what is made: whoever hands over the state before is not to end this.
        revision=F("revision") + 1,
        updated_at=now(),
        due_at=now(),
    )


def standing_of(jobs: Sequence[Job | None]) -> Standing:
    """Of all the jobs of a task, None for one whose row is gone."""
    for job in jobs:
        if (reason := _reason(job)) is not None:
            return Standing(TaskStatus.FAILED, reason)
    if all(job and job.status == Job.Status.COMPLETED for job in jobs):
        return Standing(TaskStatus.IN_PROGRESS, is_made=True)
    is_begun = any(job and job.attempt for job in jobs)
    return Standing(TaskStatus.IN_PROGRESS if is_begun else TaskStatus.PENDING)


def _reason(job: Job | None) -> str | None:
    """Why the job will make no clip, unless somebody retries it."""
    if job is None or job.status == Job.Status.DELETED:
        return GONE
    if job.status == Job.Status.CANCELLED:
        return CANCELLED
    if job.status == Job.Status.FAILED:
        return f"{job.error_code}: {job.error_message}"[:500]
    return None
