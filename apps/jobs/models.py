"""The ledger's tables. Rows change status only in `apps.jobs.ledger`."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.urls import reverse

from contract.frames import Picture, SegmentFrames
from contract.keys import FinalKey, SegmentKey, SourceKey, StereoSegmentKey
from contract.modes import Engine, StereoMode, StereoSettings

MODE_CHOICES = [
    (StereoMode.SBS.value, "Side by side"),
    (StereoMode.HALF_SBS.value, "Half side by side"),
    (StereoMode.TAB.value, "Top and bottom"),
    (StereoMode.HALF_TAB.value, "Half top and bottom"),
    (StereoMode.ANAGLYPH.value, "Red-cyan anaglyph"),
]
ENGINE_CHOICES = [(Engine.PREVIEW.value, "Preview")]


STATUSES = [
    "created",
    "chunking_in_progress",
    "chunking_complete",
    "reassembling",
    "completed",
    "failed",
    "cancelled",
]
ACTIVE = STATUSES[1:4]
"""There is work to do, and so a message in flight or due."""
OVER = STATUSES[4:]


class Job(models.Model):
    """One film on its way to 3D."""

    class Status(models.TextChoices):
        CREATED = "created", "Waiting for the film"
        CHUNKING = "chunking_in_progress", "Cutting into segments"
        CHUNKED = "chunking_complete", "Converting"
        REASSEMBLING = "reassembling", "Joining"
        COMPLETED = "completed", "Completed"
        FAILED = "failed", "Failed"
        CANCELLED = "cancelled", "Cancelled"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE)
    title = models.CharField(max_length=200)
    mode = models.CharField(max_length=16, choices=MODE_CHOICES)
    engine = models.CharField(
        max_length=16, choices=ENGINE_CHOICES, default=Engine.PREVIEW.value
    )
    max_disparity = models.FloatField(
        default=2.0, validators=[MinValueValidator(0), MaxValueValidator(10)]
    )
    convergence = models.FloatField(
        default=0.5, validators=[MinValueValidator(0), MaxValueValidator(1)]
    )
    source_extension = models.CharField(max_length=8, default="mp4")
    fingerprint = models.CharField(max_length=64, blank=True)
    """Of a local source file and the settings: the same command goes on with the same job."""

    status = models.CharField(max_length=24, choices=Status, default=Status.CREATED)
    attempt = models.PositiveIntegerField(default=0)
    """Counts claims of the job's own stages; a late answer of an older one is void."""
    failures = models.PositiveSmallIntegerField(default=0)
    """Failed attempts of the present stage."""
    lease_expires_at = models.DateTimeField(null=True, editable=False)
    notify_at = models.DateTimeField(null=True, editable=False)
    """From when on the present stage's message counts as lost, if nobody has it."""
    error_code = models.CharField(max_length=32, blank=True)
    """A `contract.errors.ErrorCode`."""
    error_message = models.CharField(max_length=500, blank=True)

    film = models.JSONField(null=True, editable=False)
    """What probing the source found (`apps.pipeline.media.probe.Film`)."""
    picture = models.JSONField(null=True, editable=False)
    """How each stereo segment is encoded (`contract.frames.Picture`)."""
    final_extension = models.CharField(max_length=8, default="mp4")
    total_segments = models.PositiveIntegerField(null=True, editable=False)

    created_at = models.DateTimeField(db_default=Now(), editable=False)
    started_at = models.DateTimeField(null=True, editable=False)
    finished_at = models.DateTimeField(null=True, editable=False)
    tidied_at = models.DateTimeField(null=True, editable=False)
    """When the objects that only the work needed were deleted."""

    class Meta:
        ordering = ("-created_at",)
        indexes = (
            models.Index(fields=["owner", "-created_at"], name="job_of_owner"),
            models.Index(
                fields=["notify_at"],
                name="job_active",
                condition=Q(status__in=ACTIVE),
            ),
            models.Index(
                fields=["finished_at"],
                name="job_untidied",
                condition=Q(tidied_at=None, status__in=["completed", "cancelled"]),
            ),
            models.Index(
                fields=["fingerprint"],
                name="job_fingerprint",
                condition=~Q(fingerprint=""),
            ),
        )
        constraints = (
            models.CheckConstraint(
                name="job_status_known", condition=Q(status__in=STATUSES)
            ),
            models.CheckConstraint(
                name="job_mode_known", condition=Q(mode__in=list(StereoMode))
            ),
            models.CheckConstraint(
                name="job_settings_in_range",
                condition=Q(max_disparity__range=(0, 10), convergence__range=(0, 1)),
            ),
            models.CheckConstraint(
                name="job_finished_at_iff_over",
                condition=Q(status__in=OVER, finished_at__isnull=False)
                | (~Q(status__in=OVER) & Q(finished_at=None)),
            ),
            models.CheckConstraint(
                name="job_leased_only_in_its_own_stages",
                condition=Q(lease_expires_at=None)
                | Q(status__in=["chunking_in_progress", "reassembling"]),
            ),
            models.CheckConstraint(
                name="job_notified_iff_active",
                condition=Q(status__in=ACTIVE, notify_at__isnull=False)
                | (~Q(status__in=ACTIVE) & Q(notify_at=None)),
            ),
            models.CheckConstraint(
                name="job_cut_before_converted",
                condition=Q(total_segments__gte=1)
                | ~Q(status__in=["chunking_complete", "reassembling", "completed"]),
            ),
            models.CheckConstraint(
                name="job_error_iff_failed",
                condition=(Q(status="failed") & ~Q(error_code=""))
                | (~Q(status="failed") & Q(error_code="")),
            ),
        )

    def __str__(self) -> str:
        return self.title

    def get_absolute_url(self) -> str:
        return reverse("job", args=[self.id])

    @property
    def is_over(self) -> bool:
        return self.finished_at is not None

    @property
    def settings(self) -> StereoSettings:
        return StereoSettings(
            max_disparity=self.max_disparity, convergence=self.convergence
        )

    @property
    def source_key(self) -> str:
        return str(SourceKey(self.id, self.source_extension))

    @property
    def final_key(self) -> str:
        return str(FinalKey(self.id, self.final_extension))

    def get_picture(self) -> Picture:
        return Picture.model_validate(self.picture)


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
    engine_version = models.CharField(max_length=64, blank=True)

    class Meta:
        ordering = ("job", "index")
        indexes = (
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
    def stereo_key(self) -> str:
        return str(StereoSegmentKey(self.job_id, self.index))

    def get_frames(self) -> SegmentFrames:
        return SegmentFrames.model_validate(self.frames)


class Event(models.Model):
    """What happened, in order; never updated, never deleted before its job."""

    job = models.ForeignKey(Job, models.CASCADE, related_name="events")
    segment_index = models.PositiveIntegerField(null=True)
    at = models.DateTimeField(db_default=Now())
    kind = models.CharField(max_length=32)
    detail = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = (F("id").asc(),)

    def __str__(self) -> str:
        return f"{self.at:%H:%M:%S} {self.kind}"
