"""What programs show instead of a password, and what they asked for already."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import F
from django.db.models.functions import Now
from django.utils.timezone import now

from apps.jobs.models.job import Job


class ApiToken(models.Model):
    """A person's key for one program. Of the token itself only a digest is kept."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE)
    name = models.CharField(max_length=80)
    """For its owner, to know it by."""
    digest = models.CharField(max_length=64, unique=True, editable=False)
    hint = models.CharField(max_length=20, editable=False)
    """How the token begins, to tell two apart."""
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    expires_at = models.DateTimeField(null=True)
    last_used_at = models.DateTimeField(null=True, editable=False)
    """To the minute."""

    class Meta:
        ordering = (F("id").desc(),)

    def __str__(self) -> str:
        return self.name

    @property
    def is_expired(self) -> bool:
        return self.expires_at is not None and self.expires_at <= now()


class JobRequest(models.Model):
    """The request that made a job: sent again under the same key, it is the same job."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE)
    key = models.CharField(max_length=255)
    """The client's `Idempotency-Key`."""
    digest = models.CharField(max_length=64)
    """Of what was asked for: a key is good for one request."""
    job = models.ForeignKey(Job, models.CASCADE)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=["owner", "key"], name="job_request_made_once"
            ),
        )

    def __str__(self) -> str:
        return self.key
