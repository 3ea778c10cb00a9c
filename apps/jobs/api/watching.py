"""A job as it is now: a fingerprint that costs four small queries, and the whole."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from django.db.models import Count, Max, Sum
from django.http import HttpRequest

from apps.jobs.api.shapes import JobDetail, JobSummary, SegmentCounts, Step
from apps.jobs.models import Event, Invocation, Job, Segment
from apps.jobs.views.progress import Progress


class Seen(NamedTuple):
    """What changes whenever something that is shown of the job does."""

    etag: str
    segments: SegmentCounts


def look(job: Job) -> Seen:
    segments = Segment.objects.filter(job=job).order_by()
    found = segments.values("status").annotate(
        number=Count("pk"), frames=Sum("frames_done"), attempts=Sum("attempt")
    )
    rows = sorted(found, key=lambda row: row["status"])
    numbers = {row["status"]: row["number"] for row in rows}
    waiting = Invocation.objects.filter(job=job, answered_at=None, is_waiting=True)
    facts = (
        job.status,
        job.attempt,
        job.lease_expires_at is None,
        [tuple(row.values()) for row in rows],
        Event.objects.filter(job=job).aggregate(last=Max("id"))["last"],
        waiting.count(),
    )
    digest = hashlib.sha256(repr(facts).encode()).hexdigest()[:32]
    counts = {status: numbers.get(status, 0) for status in Segment.Status.values}
    total = job.total_segments or 0
    return Seen(f'W/"{digest}"', SegmentCounts(total=total, **counts))


def detail(request: HttpRequest, job: Job, segments: SegmentCounts) -> JobDetail:
    progress = Progress.of(job)
    return JobDetail(
        **dict(JobSummary.of(job)),
        prompt=job.get_prompt(),
        sentence=progress.sentence,
        steps=[
            Step(name=step.name, state=step.state, seconds=step.seconds)
            for step in progress.steps
        ],
        segments=segments,
        seconds_left=progress.estimate and progress.estimate.high,
        page=request.build_absolute_uri(job.get_absolute_url()),
    )
