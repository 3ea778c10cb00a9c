"""What a message of Story IV asks for: a task, and the jobs that make its clips."""

from __future__ import annotations

import uuid

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from apps.jobs.models.job import Job
from contract.story import TaskStatus, VideoJob


class VideoTask(models.Model):
    """One task of a producer. Its row outlives its jobs: the same message is known again."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    parent_id = models.CharField(max_length=128)
    task_id = models.CharField(max_length=128)
    prompt = models.CharField(max_length=2000, blank=True)
    """Empty where it could not be read."""
    request = models.JSONField(null=True, editable=False)
    """`contract.story.VideoJob`, as it was asked for; null: it could not be read."""
    seed = models.BigIntegerField(null=True, editable=False)
    """Of the first clip: the one that was asked for, or that we chose."""
    width = models.PositiveSmallIntegerField(null=True, editable=False)
    """What is made, in pixels; `request` has what was asked for."""
    height = models.PositiveSmallIntegerField(null=True, editable=False)

    status = models.CharField(
        max_length=11,
        choices=[(status.value, status.value) for status in TaskStatus],
        default=TaskStatus.PENDING.value,
    )
    reason = models.CharField(max_length=500, blank=True)
    """Why it failed."""
    media_urls = ArrayField(models.CharField(max_length=500), default=list)
    """Of the clips in the producer's bucket."""
    revision = models.PositiveIntegerField(default=1)
    """Counts changes of the status: what the producer's table has is as old as this says."""
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(db_default=Now(), editable=False)
    """When the status changed."""

    due_at = models.DateTimeField(null=True, editable=False)
    """When clips or status are next to be handed over; null: the producer has them."""
    attempts = models.PositiveIntegerField(default=0)
    """Counts claims of the handover; what an older one found is void."""
    failing_since = models.DateTimeField(null=True, editable=False)
    """Of the attempts since then none succeeded."""
    answer = models.CharField(max_length=500, blank=True)
    """Why the last attempt did not."""

    class Meta:
        ordering = (F("created_at").desc(), F("id").desc())
        indexes = (
            models.Index(fields=["-created_at", "-id"], name="video_task_newest"),
            models.Index(fields=["task_id"], name="video_task_by_id"),
            models.Index(
                fields=["due_at"],
                name="video_task_due",
                condition=Q(due_at__isnull=False),
            ),
        )
        constraints = (
            models.UniqueConstraint(
                fields=["parent_id", "task_id"], name="video_task_once"
            ),
            models.CheckConstraint(
                name="video_task_status_known", condition=Q(status__in=list(TaskStatus))
            ),
            models.CheckConstraint(
                name="video_task_reason_iff_failed",
                condition=(Q(status="FAILED") & ~Q(reason=""))
                | (~Q(status="FAILED") & Q(reason="")),
            ),
            models.CheckConstraint(
                name="video_task_media_iff_completed",
                condition=(Q(status="COMPLETED") & ~Q(media_urls=[]))
                | (~Q(status="COMPLETED") & Q(media_urls=[])),
            ),
        )

    def __str__(self) -> str:
        return f"{self.parent_id}/{self.task_id}"

    def get_request(self) -> VideoJob:
        return VideoJob.model_validate(self.request)


class VideoClip(models.Model):
    """One clip of a task, and the job that makes it."""

    task = models.ForeignKey(VideoTask, models.CASCADE, related_name="clips")
    index = models.PositiveSmallIntegerField()
    job = models.OneToOneField(
        Job, models.SET_NULL, null=True, related_name="video_clip"
    )
    """Null once its row is gone: it was deleted."""

    class Meta:
        ordering = ("index",)
        constraints = (
            models.UniqueConstraint(
                fields=["task", "index"], name="video_clip_once_of_a_task"
            ),
        )

    def __str__(self) -> str:
        return f"{self.task_id}[{self.index}]"
