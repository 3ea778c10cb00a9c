"""A file on its way from a person's machine into the store."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from apps.jobs.models.job import Job


class Upload(models.Model):
    """What is known of a file before it is whole in the store."""

    class Kind(models.TextChoices):
        FILM = "film", "Film"
        DEPTH = "depth", "Depth video"

    job = models.ForeignKey(Job, models.CASCADE, related_name="uploads")
    kind = models.CharField(max_length=8, choices=Kind)
    name = models.CharField(max_length=255)
    """Of the file, where the person has it."""
    size = models.BigIntegerField()
    modified = models.BigIntegerField(null=True)
    """When the file was last changed, in milliseconds of its machine's clock: by name,
    size and this a page knows the same file again."""
    part_bytes = models.BigIntegerField()
    """Of every part but the last."""
    handle = models.CharField(max_length=1024, blank=True)
    """What the store calls the upload; empty until it takes parts."""
    touched_at = models.DateTimeField(db_default=Now())
    """When somebody last asked where to send a part."""
    arrived_at = models.DateTimeField(null=True)
    """Since when the object is whole in the store."""

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=["job", "kind"], name="upload_one_of_a_kind"
            ),
            models.CheckConstraint(
                name="upload_has_parts", condition=Q(size__gt=0, part_bytes__gt=0)
            ),
        )

    def __str__(self) -> str:
        return self.name

    @property
    def key(self) -> str:
        """Where the object will be."""
        if self.kind == self.Kind.FILM:
            return self.job.source_key
        return self.job.depth_key or ""

    @property
    def part_count(self) -> int:
        return -(-self.size // self.part_bytes)

    def length_of(self, number: int) -> int:
        """Bytes of part `number`, counted from 1."""
        return min(self.part_bytes, self.size - (number - 1) * self.part_bytes)
