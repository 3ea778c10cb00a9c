"""A page of jobs as a list shows them: what each does, how far it is, how long it took."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, Self
from uuid import UUID

from django.db.models import Count, Exists, OuterRef, Q
from django.utils.timezone import now

from apps.jobs.models import OWN_STAGES, Invocation, Job, Segment


class State(NamedTuple):
    """What a job does, or waits for: a person who waits should know for what."""

    key: str
    """A job's status, or `pending` (for a worker) or `waiting` (for a GPU)."""
    words: str


QUEUED = State("pending", "Queued")
FOR_GPU = State("waiting", "Waiting for a GPU")


def state_of(job: Job, *, converting: int = 0, waiting: int = 0) -> State:
    """By how many of its segments are converted now, and how many of them, or clips, wait
    for a GPU."""
    if job.status in OWN_STAGES and job.lease_expires_at is None:
        return QUEUED
    if job.status == Job.Status.CHUNKED and not converting:
        return FOR_GPU if waiting else QUEUED
    if job.status == Job.Status.INGESTING and waiting:
        return FOR_GPU
    return State(job.status, job.status_words)


def waiting_for_gpu() -> Exists:
    """Of a segment: a worker has asked for a GPU and was not given one yet."""
    return Exists(
        Invocation.objects.filter(
            segment=OuterRef("pk"), answered_at=None, is_waiting=True
        )
    )


def clips_waiting(jobs: Iterable[Job]) -> set[UUID]:
    """Those whose clip waits for a GPU, likewise."""
    making = [job.pk for job in jobs if job.status == Job.Status.INGESTING]
    if not making:
        return set()
    waiting = Invocation.objects.filter(answered_at=None, is_waiting=True)
    clips = waiting.filter(job__in=making, segment_index=None)
    return set(clips.values_list("job", flat=True))


@dataclass(frozen=True, slots=True)
class Row:
    job: Job
    state: State
    done: int
    """Segments."""
    took: float | None
    """Seconds of work so far, or in all."""

    @classmethod
    def of(cls, jobs: Iterable[Job]) -> list[Self]:
        page = list(jobs)
        counts = _counts(page)
        return [cls._of(job, *counts.get(job.pk, (0, 0, 0))) for job in page]

    @classmethod
    def _of(cls, job: Job, undone: int, converting: int, waiting: int) -> Self:
        return cls(
            job,
            state_of(job, converting=converting, waiting=waiting),
            (job.total_segments or 0) - undone,
            _took(job),
        )


def _counts(jobs: list[Job]) -> dict[UUID, tuple[int, int, int]]:
    """How many segments are not done, are converted now, and wait for a GPU, of each job.

    The undone ones, for they have an index of their own, which films that are finished
    are not in: so nobody counts through the segments of a page of long films.
    """
    cut = [job for job in jobs if job.status != Job.Status.COMPLETED]
    segments = Segment.objects.filter(job__in=cut).exclude(status=Segment.Status.DONE)
    waits = waiting_for_gpu()
    counted = (
        segments.order_by()
        .values_list("job")
        .annotate(
            Count("pk"),
            converting=Count("pk", filter=Q(~waits, status=Segment.Status.RUNNING)),
            waiting=Count("pk", filter=Q(waits)),
        )
    )
    found = {job_id: tuple(numbers) for job_id, *numbers in counted}
    return found | dict.fromkeys(clips_waiting(jobs), (0, 0, 1))


def _took(job: Job) -> float | None:
    if job.started_at is None:
        return None
    return ((job.finished_at or now()) - job.started_at).total_seconds()
