"""What happened to a job, and when."""

from __future__ import annotations

from django.db import models
from django.db.models import F
from django.db.models.functions import Now

from apps.jobs.models.job import Job


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
