"""What Prometheus is told of the whole system, computed when it asks.

From the ledger, from SQS, and from what all processes have counted: it is the same
whichever of the site's processes answers, and one address is enough to scrape. The
inference server has its own `/metrics`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from django.db.models import Count, F, Sum
from django.utils.timezone import now
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from apps.jobs.models import Job, Segment
from apps.monitoring.models import Tally
from apps.pipeline import fleet

RATE_WINDOW = timedelta(minutes=5)
SPEED_WINDOW = timedelta(hours=1)
"""Of how recent segments the speed of an engine is said."""
TALLIES = {
    "failed_attempts": ("code", "Attempts at a segment or stage that failed"),
    "sqs_calls": ("operation", "Calls of SQS's API"),
    "sweep_found": ("what", "Lost messages, dead workers and the like, found again"),
}


def text() -> bytes:
    """In the text format of Prometheus."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector())
    return generate_latest(registry)


class _Collector:
    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        yield from _films()
        yield from _speed()
        yield from _queues()
        yield from _counted()


def _gauge(name: str, told: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"stereospot_{name}", told, labels=labels)


def _films() -> Iterator[Metric]:
    jobs = _gauge("jobs", "Jobs by status", "status")
    found = dict(Job.objects.order_by().values_list("status").annotate(Count("pk")))
    for status in Job.Status.values:
        jobs.add_metric([status], found.get(status, 0))
    yield jobs
    stuck = _gauge("stuck_jobs", "Active jobs that nobody has worked at for an hour")
    stuck.add_metric([], fleet.stuck_jobs().count())
    yield stuck
    side = fleet.gpu_side()
    running = _gauge("segments_running", "Segments that a worker has in hand")
    running.add_metric([], side.running)
    yield running
    waiting = _gauge(
        "segments_waiting_for_gpu", "Of those, that no GPU has in hand yet"
    )
    waiting.add_metric([], side.waiting)
    yield waiting
    if side.last_done is not None:
        last = _gauge("last_segment_seconds", "Seconds since a segment was converted")
        last.add_metric([], (now() - side.last_done).total_seconds())
        yield last


def _speed() -> Iterator[Metric]:
    rate = _gauge("segments_per_second", "Segments done, over 5 minutes", "engine")
    slow = _gauge(
        "seconds_per_frame", "Wall time of a frame, over the last hour", "engine"
    )
    engine = F("job__engine")
    recent = Segment.objects.filter(finished_at__gte=now() - RATE_WINDOW).order_by()
    for name, number in recent.values_list(engine).annotate(Count("pk")):
        rate.add_metric([name], number / RATE_WINDOW.total_seconds())
    recent = Segment.objects.filter(finished_at__gte=now() - SPEED_WINDOW).order_by()
    sums = (Sum("seconds"), Sum("frame_count"))
    for name, seconds, frames in recent.values_list(engine).annotate(*sums):
        slow.add_metric([name], seconds / frames)
    yield rate
    yield slow


def _queues() -> Iterator[Metric]:
    messages = _gauge("queue_messages", "Messages by what they do", "queue", "state")
    oldest = _gauge("queue_oldest_seconds", "How long the oldest has waited", "queue")
    workers = _gauge("queue_workers", "Workers that live", "queue")
    dead = _gauge("dead_letters", "Dead letters that wait for somebody", "queue")
    for queue in fleet.queues():
        if queue.counts is not None:
            messages.add_metric([queue.name, "waiting"], queue.counts.waiting)
            messages.add_metric([queue.name, "in_flight"], queue.counts.in_flight)
            messages.add_metric([queue.name, "delayed"], queue.counts.delayed)
        oldest.add_metric([queue.name], queue.oldest or 0)
        workers.add_metric([queue.name], queue.workers)
        dead.add_metric([queue.name], queue.dead)
    yield from (messages, oldest, workers, dead)


def _counted() -> Iterator[Metric]:
    for name, (label, told) in TALLIES.items():
        family = CounterMetricFamily(f"stereospot_{name}", told, labels=[label])
        for of, value in Tally.objects.filter(name=name).values_list("label", "value"):
            family.add_metric([of], value)
        yield family
