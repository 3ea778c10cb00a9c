"""Jobs for the benchmarks: begun as `convert` begins them, and read from the ledger."""

from __future__ import annotations

import time
from pathlib import Path

from django.conf import settings
from django.utils.timezone import now

from apps.jobs import ledger, storage
from apps.jobs.accounts import administrator
from apps.jobs.models import Job
from apps.jobs.names import source_extension
from apps.pipeline import messages
from apps.pipeline.queues import Counts, queues
from apps.pipeline.sweep import sweep
from benchmarks.parts import Bench, Worker
from contract.modes import StereoMode
from stereospot.parts import QUEUE_PREFIX

OWN = ("media", "gpu")
"""The queues of a film."""
OWN_AT_SQS = tuple(f"{QUEUE_PREFIX}{name}" for name in OWN)


def own_workers(app: str, *, segment_seconds: int) -> list[Worker]:
    """Those that a film needs."""
    variables = {"SEGMENT_SECONDS": str(segment_seconds)}
    return [Worker(app, queue, variables) for queue in OWN]


def create(source: Path, mode: StereoMode = StereoMode.SBS) -> Job:
    """A new job for a film of this machine, its source in the store."""
    extension = source_extension(source.name)
    job = Job(
        owner=administrator(), title=source.stem, mode=mode, source_extension=extension
    )
    ledger.create(job)
    storage.source().adopt(job.source_key, source)
    return job


def converted(bench: Bench, source: Path, *, seconds: float = 900.0) -> Job:
    """A job whose film the workers have converted, and tidied up after.

    Raises `RuntimeError` if they failed.
    """
    job = create(source)
    ledger.start(job.pk)
    messages.send_stage(Job.objects.get(pk=job.pk))

    swept = time.monotonic()

    def is_over() -> bool:
        nonlocal swept
        if time.monotonic() > swept + settings.SWEEP_SECONDS:
            sweep()  # what is sent too slowly is given up, and left to it
            swept = time.monotonic()
        job.refresh_from_db()
        return job.is_over

    bench.until(is_over, seconds)
    if job.status != Job.Status.COMPLETED:
        raise RuntimeError(f"a film was not converted: {job.error_message}")
    bench.until(lambda: is_settled(*OWN_AT_SQS))
    return job


def is_settled(*names: str) -> bool:
    """Whether all that was sent to the queues of these names was received and deleted."""
    with queues() as sqs:
        urls = [sqs.client.get_queue_url(QueueName=name)["QueueUrl"] for name in names]
        return all(sqs.counts(url) == Counts(0, 0, 0) for url in urls)


def seconds_between(job: Job, first: str, second: str) -> float:
    """From one event of a job to another."""
    at = {event.kind: event.at for event in job.events.all()}
    return (at[second] - at[first]).total_seconds()


def seconds_of(job: Job) -> float:
    """From its start to its end."""
    return ((job.finished_at or now()) - (job.started_at or now())).total_seconds()
