"""A film on its way to 3D: the row that everything else hangs on."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.contrib.postgres.indexes import GinIndex
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.urls import reverse

from apps.jobs.models.grams import Grams
from contract.frames import Picture
from contract.keys import DepthKey, FinalKey, SourceKey
from contract.modes import FLAT, Engine, StereoMode, StereoSettings
from contract.origins import ORIGIN, Origin, Prompt

MODE_CHOICES = [
    (StereoMode.SBS.value, "Side by side"),
    (StereoMode.HALF_SBS.value, "Half side by side"),
    (StereoMode.TAB.value, "Top and bottom"),
    (StereoMode.HALF_TAB.value, "Half top and bottom"),
    (StereoMode.ANAGLYPH.value, "Red-cyan anaglyph"),
]
FLAT_CHOICE = (FLAT, "2D only")
"""Of clips that are made of a prompt, and of no other film."""
ENGINE_CHOICES = [
    (Engine.PREVIEW.value, "Preview"),
    (Engine.FAST.value, "Fast"),
    (Engine.STEREOCRAFTER.value, "StereoCrafter"),
]

STATUSES = [
    "created",
    "ingesting",
    "chunking_in_progress",
    "chunking_complete",
    "reassembling",
    "completed",
    "failed",
    "cancelled",
    "deleted",
]
ACTIVE = STATUSES[1:5]
"""There is work to do, and so a message in flight or due."""
OVER = STATUSES[5:]
OWN_STAGES = ["ingesting", "chunking_in_progress", "reassembling"]
"""What one worker does for the whole job."""
GENERATING = Q(status="ingesting", origin__kind="prompt")
"""A clip is made of the job's prompt: of its own stages the one that wants a GPU."""
TIDIED = ["completed", "cancelled", "deleted"]
"""Over for good: objects that nobody needs any more are deleted. A failed job keeps its
segments, for *Retry* goes on from them."""


class Job(models.Model):
    """One film on its way to 3D."""

    class Status(models.TextChoices):
        CREATED = "created", "Waiting for the film"
        INGESTING = "ingesting", "Fetching the film"
        CHUNKING = "chunking_in_progress", "Cutting into segments"
        CHUNKED = "chunking_complete", "Converting"
        REASSEMBLING = "reassembling", "Joining"
        COMPLETED = "completed", "Completed"
        FAILED = "failed", "Failed"
        CANCELLED = "cancelled", "Cancelled"
        DELETED = "deleted", "Deleted"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    # Protected: with the row we would lose the only trace of its objects.
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT)
    title = models.CharField(max_length=200)
    mode = models.CharField(max_length=16, choices=[*MODE_CHOICES, FLAT_CHOICE])
    engine = models.CharField(
        max_length=16, choices=ENGINE_CHOICES, default=Engine.PREVIEW.value
    )
    max_disparity = models.FloatField(
        default=2.0, validators=[MinValueValidator(0), MaxValueValidator(10)]
    )
    convergence = models.FloatField(
        default=0.5, validators=[MinValueValidator(0), MaxValueValidator(1)]
    )
    reference = models.BooleanField(default=False)
    """Follow the engine's published algorithm (`StereoSettings.reference`)."""
    source_extension = models.CharField(max_length=8, default="mp4")
    origin = models.JSONField(null=True, editable=False)
    """Where the source is to be fetched from, or the prompt that it is to be made of
    (`contract.origins`); null: it is brought."""
    clip = models.JSONField(null=True, editable=False)
    """What made a clip of the prompt (`contract.generation.Generated`)."""
    depth_extension = models.CharField(max_length=8, blank=True)
    """Of the depth video that came with the film; empty: the engine estimates depth."""
    fingerprint = models.CharField(max_length=64, blank=True)
    """Of a local source file and the settings: the same command goes on with the same job."""
    request_id = models.UUIDField(null=True, editable=False)
    """What a page or program calls its request: the same one twice is one job."""

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
    tidy_at = models.DateTimeField(null=True, editable=False)
    """When objects that nobody needs any more are next to be deleted; null: none are left."""

    class Meta:
        ordering = ("-created_at",)
        indexes = (
            # The list's: all jobs or one person's, of any state or of one, newest first.
            models.Index(fields=["-created_at", "-id"], name="job_newest"),
            models.Index(fields=["status", "-created_at", "-id"], name="job_in_state"),
            models.Index(fields=["owner", "-created_at", "-id"], name="job_of_owner"),
            models.Index(
                fields=["owner", "status", "-created_at", "-id"],
                name="job_of_owner_in_state",
            ),
            GinIndex(Grams("title", 1), name="job_title"),
            models.Index(
                fields=["-created_at"],
                name="job_with_clip",
                condition=Q(clip__isnull=False),
            ),
            models.Index(
                fields=["owner"],
                name="job_in_work",
                condition=Q(status__in=["created", *ACTIVE]),
            ),
            models.Index(
                fields=["created_at"],
                name="job_waits_for_source",
                condition=Q(status="created"),
            ),
            models.Index(
                fields=["lease_expires_at"],
                name="job_leased",
                condition=Q(lease_expires_at__isnull=False),
            ),
            models.Index(
                fields=["notify_at"],
                name="job_active",
                condition=Q(status__in=ACTIVE),
            ),
            models.Index(
                fields=["tidy_at"],
                name="job_untidied",
                condition=Q(tidy_at__isnull=False),
            ),
            models.Index(
                fields=["fingerprint"],
                name="job_fingerprint",
                condition=~Q(fingerprint=""),
            ),
        )
        constraints = (
            models.UniqueConstraint(
                fields=["owner", "request_id"], name="job_one_of_a_request"
            ),
            models.CheckConstraint(
                name="job_status_known", condition=Q(status__in=STATUSES)
            ),
            models.CheckConstraint(
                name="job_mode_known", condition=Q(mode__in=[*StereoMode, FLAT])
            ),
            models.CheckConstraint(
                name="job_flat_only_of_a_prompt",
                condition=~Q(mode=FLAT)
                | Q(origin__isnull=False, origin__kind="prompt"),
            ),
            models.CheckConstraint(
                name="job_settings_in_range",
                condition=Q(max_disparity__range=(0, 10), convergence__range=(0, 1)),
            ),
            models.CheckConstraint(
                name="job_reference_only_where_there_is_one",
                condition=Q(reference=False)
                | Q(engine__in=[engine for engine in Engine if engine.has_reference]),
            ),
            models.CheckConstraint(
                name="job_finished_at_iff_over",
                condition=Q(status__in=OVER, finished_at__isnull=False)
                | (~Q(status__in=OVER) & Q(finished_at=None)),
            ),
            models.CheckConstraint(
                name="job_leased_only_in_its_own_stages",
                condition=Q(lease_expires_at=None) | Q(status__in=OWN_STAGES),
            ),
            models.CheckConstraint(
                name="job_notified_iff_active",
                condition=Q(status__in=ACTIVE, notify_at__isnull=False)
                | (~Q(status__in=ACTIVE) & Q(notify_at=None)),
            ),
            models.CheckConstraint(
                name="job_tidied_only_when_over_for_good",
                condition=Q(tidy_at=None)
                | Q(status__in=TIDIED)
                | Q(status="failed", started_at=None),
            ),
            models.CheckConstraint(
                name="job_cut_before_converted",
                condition=Q(total_segments__isnull=False, total_segments__gte=1)
                | Q(mode=FLAT, status="completed")
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
            max_disparity=self.max_disparity,
            convergence=self.convergence,
            reference=self.reference,
        )

    @property
    def source_key(self) -> str:
        return str(SourceKey(self.id, self.source_extension))

    @property
    def depth_key(self) -> str | None:
        """Of the depth video that came with the film, if one did."""
        if not self.depth_extension:
            return None
        return str(DepthKey(self.id, self.depth_extension))

    @property
    def final_key(self) -> str:
        return str(FinalKey(self.id, self.final_extension))

    @property
    def is_flat(self) -> bool:
        """It ends with its clip."""
        return self.mode == FLAT

    @property
    def status_words(self) -> str:
        """What the job does, for people."""
        if self.status == self.Status.INGESTING and self.get_prompt():
            return "Generating the clip"
        return self.get_status_display()

    def get_origin(self) -> Origin | None:
        return self.origin and ORIGIN.validate_python(self.origin)

    def get_prompt(self) -> Prompt | None:
        """That the film is made of, if it is."""
        origin = self.get_origin()
        return origin if isinstance(origin, Prompt) else None

    def get_picture(self) -> Picture:
        return Picture.model_validate(self.picture)
