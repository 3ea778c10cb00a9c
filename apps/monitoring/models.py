"""What the processes of the whole system have counted, together."""

from __future__ import annotations

from django.db import models


class Tally(models.Model):
    """How often something happened, ever. A row for each kind, however many processes."""

    name = models.CharField(max_length=40)
    label = models.CharField(max_length=80)
    value = models.BigIntegerField()

    class Meta:
        verbose_name_plural = "tallies"
        constraints = (
            models.UniqueConstraint(fields=["name", "label"], name="tally_of_a_kind"),
        )

    def __str__(self) -> str:
        return f"{self.name} {self.label}"
