"""Which message starts what: the canvas of a film, sent after the ledger has committed.

chain( ingest or generate, tidy ) where nobody brings the film, then
chain( chunk, tidy ), where chunk replaces itself by
    chord( group( infer(0) … infer(n−1) ), concat )

A failed attempt is retried by Celery, as the same part of the same chord. Arguments are
ids, and each task asks the ledger what there is to do, so a message may come twice, late,
or after the sweep's own.
Task ids are made of job, stage, index and attempt: the same message has the same id.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast
from uuid import UUID, uuid5

import structlog
from celery import Signature, chain, chord, group
from django.utils.timezone import now

from apps.jobs.models import Job, Notice, VideoTask
from stereospot.celery import app
from workers.batches import publish_batch

log = structlog.get_logger(__name__)

QUEUES = ("media", "gpu", "control")
_STAGES = {
    Job.Status.INGESTING: "ingest",  # or generate, of a prompt
    Job.Status.CHUNKING: "chunk",
    Job.Status.REASSEMBLING: "concat",
}


def send_stage(job: Job, *, pause: int = 0) -> None:
    """Start (again) the stage that the job is in, if one worker does it."""
    name = _STAGES.get(Job.Status(job.status))
    if job.status == Job.Status.INGESTING and job.get_prompt():
        name = "generate"
    if name is None:  # it was stopped meanwhile
        return
    log.info("stage sent", job_id=str(job.pk), stage=name, attempt=job.attempt)
    first = _signature(name, job.pk, attempt=job.attempt, pause=pause)
    chain(first, _signature("tidy", job.pk, attempt=job.attempt)).apply_async()


def send_segment(job_id: UUID, index: int, *, attempt: int, pause: int = 0) -> None:
    """Start a segment whose message or worker was lost, outside of any chord."""
    name = f"infer:{index}:again"
    _infer(job_id, index, name=f"{name}:{attempt}", pause=pause).apply_async()


def send_tidy(job_id: UUID) -> None:
    _signature("tidy", job_id).apply_async()


def send_notices(job_id: UUID) -> None:
    """Tell at once what is to be told of the job; the sweep tells what this misses."""
    for notice in Notice.objects.filter(job=job_id, due_at__lte=now()):
        send_notice(notice)
    for task in VideoTask.objects.filter(clips__job=job_id, due_at__lte=now()):
        send_handover(task)


def send_notice(notice: Notice) -> None:
    _send_due("tell", notice)


def send_handover(task: VideoTask) -> None:
    _send_due("hand_over", task)


def _send_due(name: str, row: Notice | VideoTask) -> None:
    """What is due; the ledger lets one of those that come begin."""
    app.signature(
        name,
        args=[str(row.pk)],
        immutable=True,
        task_id=str(uuid5(row.pk, f"{name}:{row.attempts}")),
    ).apply_async()


def conversion(job_id: UUID, indexes: Sequence[int], *, attempt: int) -> Signature:
    """The chord that converts these segments and then joins them."""
    parts = [
        _infer(job_id, index, name=f"infer:{index}:{attempt}") for index in indexes
    ]
    canvas: Any = chord(parts, _signature("concat", job_id, attempt=attempt))
    # With an id of its own it is the same chord, should it be sent twice. Celery drops
    # that of a group given to `chord`, and looks for it here and there.
    canvas.id = str(uuid5(job_id, f"chord:{attempt}"))
    canvas.tasks = group(parts, task_id=canvas.id)
    return cast(Signature, canvas)


def send_retry(job: Job) -> None:
    """A failed job goes on where `ledger.retry` has put it."""
    if job.status != Job.Status.CHUNKED:
        send_stage(job)
        return
    missing = job.segments.exclude(status="done").values_list("index", flat=True)
    canvas = conversion(job.pk, list(missing), attempt=job.attempt)
    with publish_batch():
        chain(canvas, _signature("tidy", job.pk, attempt=job.attempt)).apply_async()


def declare_queues() -> None:
    """Make the queues that are missing, before two who need one make it at once."""
    with app.connection_for_write() as connection:
        channel: Any = connection.default_channel
        for name in QUEUES:
            channel.queue_declare(queue=name)


def waiting(queue: str) -> int:
    """About how many messages wait in the queue."""
    with app.connection_for_read() as connection:
        channel: Any = connection.default_channel
        declared = channel.queue_declare(queue=queue, passive=True)
        return int(declared.message_count)


def _infer(job_id: UUID, index: int, *, name: str, pause: int = 0) -> Signature:
    return app.signature(
        "infer",
        args=[str(job_id), index],
        immutable=True,
        task_id=str(uuid5(job_id, name)),
        **_delayed(pause),
    )


def _signature(
    name: str, job_id: UUID, *, attempt: int = 0, pause: int = 0
) -> Signature:
    return app.signature(
        name,
        args=[str(job_id)],
        immutable=True,
        task_id=str(uuid5(job_id, f"{name}:{attempt}")),
        **_delayed(pause),
    )


def _delayed(pause: int) -> dict[str, int]:
    """SQS holds the message back. Celery's own countdown would be held by a worker."""
    return {"DelaySeconds": pause} if pause else {}
