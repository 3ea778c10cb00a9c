"""A stretch of a film: the unit of conversion."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from apps.jobs.models.job import Job
from contract.frames import DepthFrames, SegmentFrames
from contract.keys import DepthSegmentKey, SegmentKey, StereoSegmentKey
from contract.modes import StereoMode


class Segment(models.Model):
    """A stretch of the source: one unit of conversion."""

    class Status(models.TextChoices):
        PENDING = "pending", "Waiting"
        RUNNING = "running", "Converting"
        DONE = "done", "Done"
        FAILED = "failed", "Failed"

    job = models.ForeignKey(Job, models.CASCADE, related_name="segments")
    index = models.PositiveIntegerField()
    frames = models.JSONField(editable=False)
    """Its manifest (`contract.frames.SegmentFrames`)."""
    depth = models.JSONField(null=True, editable=False)
    """The manifest of its depth (`contract.frames.DepthFrames`), where a person brought
    depth."""
    frame_count = models.PositiveIntegerField()
    status = models.CharField(max_length=8, choices=Status, default=Status.PENDING)
    attempt = models.PositiveIntegerField(default=0)
    """Counts claims; a late answer of an older one is void."""
    failures = models.PositiveSmallIntegerField(default=0)
    lease_expires_at = models.DateTimeField(null=True, editable=False)
    notify_at = models.DateTimeField(null=True, editable=False)
    """From when on its message counts as lost, if it is still pending."""
    error_code = models.CharField(max_length=32, blank=True)
    """A `contract.errors.ErrorCode`."""
    error_message = models.CharField(max_length=500, blank=True)
    frames_done = models.PositiveIntegerField(default=0)
    """Frames of its own converted so far by the present attempt."""
    seconds = models.FloatField(null=True)
    """Wall time of the successful attempt."""
    finished_at = models.DateTimeField(null=True, editable=False)
    """When it was done; null also for what was done before this was kept."""
    engine_version = models.CharField(max_length=64, blank=True)

    class Meta:
        ordering = ("job", "index")
        indexes = (
            models.Index(
                fields=["job"], name="segment_undone", condition=~Q(status="done")
            ),
            models.Index(
                fields=["notify_at"],
                name="segment_pending",
                condition=Q(status="pending"),
            ),
            models.Index(
                fields=["lease_expires_at"],
                name="segment_running",
                condition=Q(status="running"),
            ),
            models.Index(
                fields=["finished_at"],
                name="segment_finished",
                condition=Q(finished_at__isnull=False),
            ),
        )
        constraints = (
            models.UniqueConstraint(
                fields=["job", "index"], name="segment_index_unique_in_job"
            ),
            models.CheckConstraint(
                name="segment_status_known",
                condition=Q(status__in=["pending", "running", "done", "failed"]),
            ),
            models.CheckConstraint(
                name="segment_running_iff_leased",
                condition=Q(status="running", lease_expires_at__isnull=False)
                | (~Q(status="running") & Q(lease_expires_at=None)),
            ),
            models.CheckConstraint(
                name="segment_done_iff_timed",
                condition=Q(status="done", seconds__isnull=False)
                | (~Q(status="done") & Q(seconds=None)),
            ),
            models.CheckConstraint(
                name="segment_finished_only_when_done",
                condition=Q(finished_at=None) | Q(status="done"),
            ),
            models.CheckConstraint(
                name="segment_has_frames", condition=Q(frame_count__gte=1)
            ),
        )

    def __str__(self) -> str:
        return f"{self.job_id}/{self.index:05d}"

    @property
    def source_key(self) -> str:
        """Of its object; needs `job`, whose total is part of the key."""
        total = self.job.total_segments or 0
        return str(
            SegmentKey(self.job_id, self.index, total, StereoMode(self.job.mode))
        )

    @property
    def depth_key(self) -> str | None:
        """Of its depth's object, if it has one; needs `job`, as above."""
        if self.depth is None:
            return None
        total = self.job.total_segments or 0
        return str(DepthSegmentKey(self.job_id, self.index, total))

    @property
    def cut_keys(self) -> set[str]:
        """Of the objects that chunk made for it."""
        return {key for key in (self.source_key, self.depth_key) if key}

    @property
    def stereo_key(self) -> str:
        return str(StereoSegmentKey(self.job_id, self.index))

    def get_frames(self) -> SegmentFrames:
        return SegmentFrames.model_validate(self.frames)

    def get_depth(self) -> DepthFrames | None:
        return self.depth and DepthFrames.model_validate(self.depth)
