"""A message that the queue gave up, kept until somebody has said what becomes of it."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from apps.jobs.models.job import Job


class DeadLetter(models.Model):
    """What a message was, as far as it could be read. Anybody may have written it."""

    class Status(models.TextChoices):
        WAITING = "waiting", "Waiting for a decision"
        REDRIVEN = "redriven", "Sent again"
        DISCARDED = "discarded", "Discarded"

    queue = models.CharField(max_length=80)
    """Where it was to be done: `media`, `gpu` or `control`."""
    message_id = models.CharField(max_length=100)
    """By SQS; the same for each delivery, another one after it was sent again."""
    body = models.TextField()
    """As it was received, at most 1 MiB."""
    task = models.CharField(max_length=255, blank=True)
    task_id = models.CharField(max_length=255, blank=True)
    job = models.ForeignKey(
        Job, models.SET_NULL, null=True, related_name="dead_letters"
    )
    segment_index = models.PositiveIntegerField(null=True)
    deliveries = models.PositiveIntegerField()
    """How often workers were given it."""
    reason = models.CharField(max_length=300)
    sent_at = models.DateTimeField()
    buried_at = models.DateTimeField(db_default=Now())
    status = models.CharField(
        max_length=9, choices=Status, default=Status.WAITING, editable=False
    )
    settled_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = (F("id").desc(),)
        indexes = (
            models.Index(
                fields=["id"],
                name="dead_letter_waiting",
                condition=Q(status="waiting"),
            ),
        )
        constraints = (
            models.UniqueConstraint(
                fields=["queue", "message_id"], name="dead_letter_buried_once"
            ),
            models.CheckConstraint(
                name="dead_letter_status_known",
                condition=Q(status__in=["waiting", "redriven", "discarded"]),
            ),
            models.CheckConstraint(
                name="dead_letter_settled_at_iff_settled",
                condition=Q(status="waiting", settled_at=None)
                | (~Q(status="waiting") & Q(settled_at__isnull=False)),
            ),
        )

    def __str__(self) -> str:
        return f"{self.task or 'message'} from {self.queue}"
