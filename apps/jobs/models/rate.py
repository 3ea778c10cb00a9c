"""How fast somebody has been asking for something."""

from __future__ import annotations

from django.db import models


class Rate(models.Model):
    """One who asks, and what for; written by `apps.jobs.limits` alone.

    A row that has leaked empty says nothing, and may be deleted at any time.
    """

    key = models.CharField(max_length=80, primary_key=True)
    """The limit's name, and a digest of whom it counts."""
    level = models.FloatField()
    """Tries that have not leaked away, as of `at`."""
    at = models.DateTimeField()
    pause_until = models.DateTimeField()
    empty_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return self.key
