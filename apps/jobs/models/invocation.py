"""A request to convert or make something elsewhere, and what is known of its answer."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from apps.jobs.models.job import Job
from apps.jobs.models.segment import Segment


class Invocation(models.Model):
    """What was sent to an inference server or endpoint: to convert a segment, or to make
    the clip of a job's prompt. It outlives who sent it: the next attempt waits for the
    same answer."""

    class Outcome(models.TextChoices):
        OK = "ok", "Converted"
        FAILED = "failed", "Failed"
        LOST = "lost", "Never answered"

    job = models.ForeignKey(Job, models.CASCADE, related_name="invocations")
    segment = models.ForeignKey(
        Segment, models.SET_NULL, null=True, related_name="invocations"
    )
    """None of one that has an index: the film was cut again meanwhile, and nobody waits
    for the answer."""
    segment_index = models.PositiveIntegerField(null=True)
    """None: it is for the clip."""
    attempt = models.PositiveIntegerField()
    """Of the segment, or of the job's stage, when it was last sent."""
    backend = models.CharField(max_length=16)
    """As `INFERENCE_BACKEND`."""
    inference_id = models.CharField(max_length=64)
    """Names job, segment and attempt in the logs of the other side."""
    success_uri = models.CharField(max_length=1024, blank=True)
    """Where the answer will lie; empty where it comes over the connection."""
    failure_uri = models.CharField(max_length=1024, blank=True)
    """Where it will lie instead when there is no answer of the server itself."""
    opened_at = models.DateTimeField(db_default=Now())
    sent_at = models.DateTimeField(null=True)
    """When the other side accepted it, as far as we were told."""
    expires_at = models.DateTimeField()
    """After it no answer can come."""
    is_waiting = models.BooleanField(default=False)
    """No GPU has it in hand: the endpoint starts, or the server is busy or away."""
    begun_at = models.DateTimeField(null=True)
    """When the first GPU had it in hand, as far as we were told."""
    answered_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=6, choices=Outcome, blank=True)

    class Meta:
        ordering = (F("id").desc(),)
        indexes = (
            models.Index(
                fields=["expires_at"],
                name="invocation_open",
                condition=Q(answered_at=None),
            ),
        )
        constraints = (
            models.UniqueConstraint(
                fields=["segment"],
                name="invocation_one_open_of_a_segment",
                condition=Q(answered_at=None),
            ),
            models.UniqueConstraint(
                fields=["job"],
                name="invocation_one_open_of_a_clip",
                condition=Q(answered_at=None, segment_index=None),
            ),
            models.CheckConstraint(
                name="invocation_of_a_clip_has_no_segment",
                condition=Q(segment=None) | Q(segment_index__isnull=False),
            ),
            models.CheckConstraint(
                name="invocation_answered_iff_outcome",
                condition=Q(answered_at=None, outcome="")
                | Q(answered_at__isnull=False, outcome__in=["ok", "failed", "lost"]),
            ),
        )

    def __str__(self) -> str:
        return self.inference_id

    @property
    def is_under_way(self) -> bool:
        """It was accepted, and answers whether or not anybody waits."""
        return bool(self.success_uri)
