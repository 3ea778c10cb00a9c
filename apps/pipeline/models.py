"""What the chord backend (`apps.pipeline.chords`) keeps; it knows nothing of jobs."""

from __future__ import annotations

from typing import Any

from celery import states
from django.db import models, router, transaction
from django.db.models import Q
from django.db.models.functions import Now
from django_celery_results.managers import TaskResultManager
from django_celery_results.models import TaskResult


class Chord(models.Model):
    """One barrier: the parts of its header, and the body that waits for them."""

    class State(models.TextChoices):
        WAITING = "waiting", "Parts are missing"
        READY = "ready", "All parts are there; the body is to be sent"
        SENT = "sent", "The body was sent"
        FAILED = "failed", "A part failed, or the body cannot be sent"

    group_id = models.CharField(primary_key=True, max_length=255)
    state = models.CharField(max_length=8, choices=State, default=State.WAITING)
    size = models.PositiveIntegerField(null=True)
    """Parts as announced; unknown until the header's last message is about to go out."""
    remaining = models.IntegerField(default=0)
    """Parts that are still missing; below zero while the size is unknown."""
    header = models.TextField(default="[]")
    """Ids of the parts, in the order of their results, nested as the groups are."""
    body = models.TextField()
    """The signature to send, written by the backend's own serializer."""
    error = models.TextField(blank=True)
    created_at = models.DateTimeField(db_default=Now())
    changed_at = models.DateTimeField(db_default=Now())
    """When a part, the size or the state last changed."""
    looked_at = models.DateTimeField(db_default=Now())
    """When somebody last took it up; whoever sends the body holds it from then on."""

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="chord_state",
                condition=Q(state__in=["waiting", "ready", "sent", "failed"]),
            ),
            models.CheckConstraint(
                name="chord_waits_for_its_parts",
                condition=Q(size=None, state="waiting")
                | Q(size__gt=0, state="waiting", remaining__gt=0)
                | Q(size__gt=0, remaining=0) & ~Q(state="waiting"),
            ),
        ]
        indexes = [
            models.Index(
                name="chord_unsent",
                fields=["state", "looked_at"],
                condition=Q(state__in=["waiting", "ready"]),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.group_id} ({self.state})"


class ChordPart(models.Model):
    """A task of a header that has returned: once, however often it was delivered."""

    chord = models.ForeignKey(
        Chord, models.CASCADE, related_name="parts", db_index=False
    )
    task_id = models.CharField(max_length=255)
    state = models.CharField(max_length=16)
    """A final state of `celery.states`."""

    class Meta:
        constraints = [
            models.UniqueConstraint(name="chord_part", fields=["chord", "task_id"]),
        ]

    def __str__(self) -> str:
        return f"{self.task_id} ({self.state})"


class StickyResults(TaskResultManager):
    def store_result(  # type: ignore[override] # the base names every field
        self, *, task_id: str, using: str | None = None, **fields: Any
    ) -> None:
        """Store a task's state, unless it is less than the success that is there.

        A second delivery of the same message says STARTED, and may say RETRY or FAILURE,
        after the first one has succeeded.
        """
        using = using or router.db_for_write(self.model)
        with transaction.atomic(using=using):
            rows = self.using(using).select_for_update()
            row, created = rows.get_or_create(task_id=task_id, defaults=fields)
            if created or states.SUCCESS == row.status != fields["status"]:
                return
            for name, value in fields.items():
                setattr(row, name, value)
            row.save(using=using)


class StickyTaskResult(TaskResult):
    """A task's result, of which success is final."""

    objects = StickyResults()

    class Meta:
        proxy = True
