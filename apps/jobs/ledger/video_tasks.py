"""Tasks of Story IV: begun or refused once, and handed over to their producer.

What the producer is to have (the clips in its bucket, the status in its table) is due in
the transaction that changed it, and stays due until it is there: however long a bucket or
table is away, nothing is given up.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import F, QuerySet
from django.utils.timezone import now

from apps.jobs.ledger import people
from apps.jobs.ledger.following import standing_of
from apps.jobs.ledger.rows import short
from apps.jobs.models import Job, VideoClip, VideoTask
from contract.story import TaskStatus

HANDING_OVER = timedelta(minutes=2)
"""Who has claimed a handover has done it by then, or has died."""
SHORTEST, LONGEST = timedelta(seconds=30), timedelta(minutes=15)
"""Of the pauses: what fails is left alone for as long again as it has failed."""


def _is_known(task: VideoTask) -> bool:
    """Whether a message with these ids has been taken before."""
    ids = {"parent_id": task.parent_id, "task_id": task.task_id}
    return VideoTask.objects.filter(**ids).exists()


def begin_video_task(task: VideoTask, jobs: Sequence[Job]) -> bool:
    """Save a task with its jobs, of which the clips are to be made; True for the one
    caller who should send for them.

    False when there is one with the same ids. How many films the owner has at once is not
    asked: what that refused would wait in the producer's queue, and be refused again.
    """
    return _once(task, jobs)


def refuse_video_task(task: VideoTask, reason: str) -> bool:
    """Save a task that can never be done; False when there is one with the same ids."""
    task.status, task.reason = TaskStatus.FAILED.value, short(reason)
    return _once(task, ())


def _once(task: VideoTask, jobs: Sequence[Job]) -> bool:
    task.due_at = now()
    try:
        with transaction.atomic():
            task.save(force_insert=True)
            for index, job in enumerate(jobs):
                job.save(force_insert=True)
                VideoClip.objects.create(task=task, index=index, job=job)
                people.fetch(job.pk)
    except IntegrityError:
        if _is_known(task):
            return False
        raise
    return True


@transaction.atomic
def claim_handover(task_id: UUID) -> tuple[VideoTask, bool] | None:
    """Take a task that is due for one attempt, and whether its clips are to be copied.

    None when it is not due, or another has it.
    """
    due = VideoTask.objects.filter(pk=task_id, due_at__lte=now())
    if not due.update(due_at=now() + HANDING_OVER, attempts=F("attempts") + 1):
        return None
    task = VideoTask.objects.get(pk=task_id)
    jobs = [clip.job for clip in task.clips.select_related("job")]
    is_open = task.status == TaskStatus.IN_PROGRESS
    return task, is_open and standing_of(jobs).is_made


@transaction.atomic
def complete_video_task(task: VideoTask, media_urls: Sequence[str]) -> VideoTask | None:
    """Its clips are in the producer's bucket; the task as it is now.

    None when it is not this attempt's any more, or has failed meanwhile.
    """
    rows = _held(task).filter(status=TaskStatus.IN_PROGRESS)
    completed = rows.update(
        status=TaskStatus.COMPLETED,
        media_urls=list(media_urls),
        revision=F("revision") + 1,
        updated_at=now(),
    )
    return VideoTask.objects.get(pk=task.pk) if completed else None


def note_handed_over(task: VideoTask) -> bool:
    """The producer has all that `task` says; what has changed since is still due."""
    rows = _held(task).filter(revision=task.revision)
    nothing = {"due_at": None, "failing_since": None, "answer": ""}
    return rows.update(**nothing) == 1


@transaction.atomic
def note_not_handed_over(task: VideoTask, why: str) -> bool:
    """It is tried again, after a pause that grows with the time that it has failed."""
    row = _held(task).select_for_update(no_key=True).first()
    if row is None:
        return False
    since = row.failing_since or now()
    pause = max(SHORTEST, min(LONGEST, now() - since))
    failed = {"failing_since": since, "answer": short(why), "due_at": now() + pause}
    return _held(task).update(**failed) == 1


def _held(task: VideoTask) -> QuerySet[VideoTask]:
    """The task's row, if the attempt of `task` still has it."""
    return VideoTask.objects.filter(
        pk=task.pk, attempts=task.attempts, due_at__isnull=False
    )
