"""A page of jobs as a list shows them: how far each is, and how long it took."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self
from uuid import UUID

from django.db.models import Count
from django.utils.timezone import now

from apps.jobs.models import Job, Segment


@dataclass(frozen=True, slots=True)
class Row:
    job: Job
    done: int
    """Segments."""
    took: float | None
    """Seconds of work so far, or in all."""

    @classmethod
    def of(cls, jobs: Iterable[Job]) -> list[Self]:
        page = list(jobs)
        undone = _undone(page)
        return [
            cls(job, (job.total_segments or 0) - undone.get(job.pk, 0), _took(job))
            for job in page
        ]


def _undone(jobs: list[Job]) -> dict[UUID, int]:
    """How many segments are not done yet, of each job of one page.

    The undone ones, for they have an index of their own, which films that are finished
    are not in: so nobody counts through the segments of a page of long films.
    """
    cut = [job for job in jobs if job.status != Job.Status.COMPLETED]
    segments = Segment.objects.filter(job__in=cut).exclude(status=Segment.Status.DONE)
    return dict(segments.order_by().values_list("job").annotate(Count("pk")))


def _took(job: Job) -> float | None:
    if job.started_at is None:
        return None
    return ((job.finished_at or now()) - job.started_at).total_seconds()
