"""What holds for one person, besides their name and rights."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models.functions import Now


class Account(models.Model):
    """How much one person may have converted, where that differs from everybody's."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.CASCADE, primary_key=True
    )
    films_at_once = models.PositiveIntegerField(
        null=True,
        blank=True,
        help_text="Empty: as for everybody (QUOTA_FILMS_AT_ONCE), for staff any number.",
    )
    minutes_a_month = models.PositiveIntegerField(
        null=True,
        blank=True,
        help_text="Of film. Empty: as for everybody (QUOTA_MINUTES_A_MONTH), for staff "
        "any number.",
    )

    class Meta:
        verbose_name = "quota"

    def __str__(self) -> str:
        return f"Quota of {self.user}"


class Charge(models.Model):
    """One film, as it counts for its owner's month; it stays when the film is deleted."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE)
    job_id = models.UUIDField(unique=True, editable=False)
    """No key: the job's row goes before its month is over."""
    seconds = models.FloatField()
    at = models.DateTimeField(db_default=Now())
    """In this moment's month, in UTC, it counts."""
    returned_at = models.DateTimeField(null=True)
    """Since then it does not count: the film failed, or was never converted."""

    class Meta:
        indexes = (models.Index(fields=["owner", "at"], name="charge_of_month"),)

    def __str__(self) -> str:
        return f"{self.seconds:.0f} s of job {self.job_id}"
