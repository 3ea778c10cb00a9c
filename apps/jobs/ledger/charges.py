"""Which films do not count any more, called inside the caller's transaction."""

from __future__ import annotations

from uuid import UUID

from django.utils.timezone import now

from apps.jobs.models import Charge, Job, Segment


def give_back(job_id: UUID, *, is_theirs: bool) -> None:
    """The film does not count: it came to nothing, and its owner could not help it.

    `is_theirs`: they could. Then it counts once it was cut, or its clip was made, for
    that costs.
    """
    if is_theirs and _has_cost(job_id):
        return
    Charge.objects.filter(job_id=job_id, returned_at=None).update(returned_at=now())


def _has_cost(job_id: UUID) -> bool:
    clips = Job.objects.filter(pk=job_id, clip__isnull=False)
    return clips.exists() or Segment.objects.filter(job_id=job_id).exists()


def take_again(job_id: UUID) -> None:
    """Conversion goes on with a film that was given back: it counts from now on."""
    returned = Charge.objects.filter(job_id=job_id, returned_at__isnull=False)
    returned.update(returned_at=None, at=now())
