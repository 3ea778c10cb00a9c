"""Queues, workers and the GPU's side, as they are now: for metrics, alarms and pages.

    fleet.queues()     of each queue: waiting, in flight, dead letters, oldest, workers
    fleet.workers()    which workers live, and which queues they work on
    fleet.gpu_side()   when a segment was last converted, and what is asked for now
    fleet.stuck_jobs() active jobs that nobody has worked at for long

They read; nothing here changes anything. Each costs a query or two; `queues()` also asks
SQS, at most a few seconds.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import connection
from django.db.models import Count, Exists, Max, Min, OuterRef, Q, QuerySet
from django.utils.timezone import now

from apps.jobs import ledger
from apps.jobs.models import (
    ACTIVE,
    GENERATING,
    OWN_STAGES,
    DeadLetter,
    Event,
    Invocation,
    Job,
    Segment,
)
from apps.pipeline import messages
from apps.pipeline import queues as sqs
from apps.pipeline.queues import Counts, QueueAwayError
from workers import presence
from workers.presence import Worker

log = structlog.get_logger(__name__)

STUCK = timedelta(hours=1)
"""A job that nobody has worked at for so long is one to look at."""


@dataclass(frozen=True, slots=True)
class Queue:
    name: str
    counts: Counts | None
    """By SQS; None while that does not answer."""
    dead: int
    """Dead letters of it that wait for somebody to decide."""
    oldest: float | None
    """Seconds since what has waited longest was sent; None when nothing waits, and for
    `control`, which the ledger knows nothing of."""
    workers: int

    @property
    def backlog_per_worker(self) -> float | None:
        """Messages that wait for each worker; where none lives, for the first one."""
        return (
            None if self.counts is None else self.counts.waiting / max(1, self.workers)
        )


@dataclass(frozen=True, slots=True)
class GpuSide:
    last_done: datetime | None
    """When a segment was last converted, here or elsewhere."""
    last_answer: datetime | None
    """When an inference server or endpoint last answered, whatever it said."""
    running: int
    """Segments and clips that a worker has in hand."""
    asked: int
    """Of those, so many that an inference server or endpoint was asked for."""
    waiting: int
    """Of those, so many that no GPU has in hand yet."""


def queues() -> list[Queue]:
    """Of each of our queues; SQS's part is missing while it does not answer."""
    counts, oldest = _counts(), _oldest()
    buried = DeadLetter.objects.filter(status=DeadLetter.Status.WAITING)
    dead = dict(buried.order_by().values_list("queue").annotate(Count("id")))
    alive = Counter(queue for worker in workers() for queue in worker.queues)
    return [
        Queue(name, counts.get(name), dead.get(name, 0), oldest.get(name), alive[name])
        for name in messages.QUEUES
    ]


def workers() -> list[Worker]:
    """Those that live now, by the connection each holds (`workers.presence`)."""
    with connection.cursor() as cursor:
        cursor.execute(presence.QUERY)
        return [Worker.of(name, since) for name, since in cursor.fetchall()]


def gpu_side() -> GpuSide:
    segments = Segment.objects.filter(status=Segment.Status.RUNNING)
    clips = Job.objects.filter(GENERATING, lease_expires_at__isnull=False)
    running = segments.count() + clips.count()
    open_ones = Q(answered_at=None)
    asked = Invocation.objects.aggregate(
        last=Max("answered_at"),
        asked=Count("id", filter=open_ones),
        waiting=Count("id", filter=open_ones & Q(is_waiting=True)),
    )
    last_done = Segment.objects.aggregate(last=Max("finished_at"))["last"]
    return GpuSide(last_done, asked["last"], running, asked["asked"], asked["waiting"])


def stuck_jobs() -> QuerySet[Job]:
    """Active jobs at which nobody works, or has got on with, for `STUCK`.

    That they wait for their turn is no excuse: a person waits for them.
    """
    long_ago, mine = now() - STUCK, OuterRef("pk")
    in_hand = Segment.objects.filter(job=mine, lease_expires_at__gt=now())
    got_on = Segment.objects.filter(job=mine, finished_at__gte=long_ago)
    happened = Event.objects.filter(job=mine, at__gte=long_ago)
    return Job.objects.filter(
        ~Exists(in_hand),
        ~Exists(got_on),
        ~Exists(happened),
        Q(lease_expires_at=None) | Q(lease_expires_at__lte=now()),
        status__in=ACTIVE,
        started_at__lt=long_ago,
    )


def _counts() -> dict[str, Counts]:
    counts = {}
    try:
        with sqs.queues() as ours:
            for name in messages.QUEUES:
                url = ours.url(name)
                counts[name] = ours.counts(url) if url else Counts(0, 0, 0)
    except QueueAwayError as error:
        log.warning("no figures of the queues", reason=str(error))
    return counts


def _oldest() -> dict[str, float]:
    """By what is due: the ledger knows when it sent what nobody has taken yet."""
    stages = Job.objects.filter(
        status__in=OWN_STAGES,
        lease_expires_at=None,
    )
    segments = Segment.objects.filter(
        status=Segment.Status.PENDING, job__status=Job.Status.CHUNKED
    )
    due: list[tuple[str, QuerySet[Any]]] = [
        ("media", stages.exclude(GENERATING)),
        ("gpu", stages.filter(GENERATING)),
        ("gpu", segments),
    ]
    oldest: dict[str, float] = {}
    for name, waiting in due:
        first = waiting.aggregate(first=Min("notify_at"))["first"]
        # A pause before the next attempt is no waiting.
        if first is not None and (sent := first - ledger.DELIVERY) <= now():
            waited = (now() - sent).total_seconds()
            oldest[name] = max(waited, oldest.get(name, 0.0))
    return oldest
