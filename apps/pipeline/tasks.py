"""The tasks of a film. Each: claim, do, record, hand on.

A task that finds nothing to claim goes home: its message came twice, late, or for a job
that was stopped meanwhile. What a crash loses between recording and handing on, the
sweep sends again.
"""

from __future__ import annotations

from functools import partial
from typing import Any
from uuid import UUID

from celery import Task, shared_task
from celery.signals import worker_ready
from structlog.contextvars import bound_contextvars

from apps.jobs import ledger, storage
from apps.jobs.models import Job
from apps.pipeline import chunk as chunking
from apps.pipeline import concat as joining
from apps.pipeline import infer as inference
from apps.pipeline import messages
from apps.pipeline import sweep as sweeping
from apps.pipeline import tidy as tidying
from apps.pipeline.attempts import attempt, recorded
from contract.errors import StereoSpotError


@shared_task(name="chunk", bind=True)
def chunk(self: Task[..., Any], job_id: str) -> None:
    """Cut the source, then become the chord that converts and joins the segments."""
    job = ledger.claim_stage(UUID(job_id), Job.Status.CHUNKING)
    if job is None:
        return
    with bound_contextvars(job_id=job_id, stage="chunk", attempt=job.attempt):
        renew = partial(ledger.renew_stage, job)
        frames = attempt(renew, partial(chunking.chunk, job))
        if _failed_stage(job, frames) or not isinstance(frames, list):
            return
        if not recorded(lambda: ledger.finish_chunk(job, frames)):
            return
    indexes = range(len(frames))
    self.replace(messages.conversion(job.pk, indexes, attempt=job.attempt))


@shared_task(name="infer", bind=True)
def infer(self: Task[..., Any], job_id: str, index: int) -> None:
    """Convert one segment; the last one outside of a chord starts the concat itself."""
    segment = ledger.claim_segment(UUID(job_id), index)
    if segment is None:
        return
    context = {"job_id": job_id, "segment_index": index, "attempt": segment.attempt}
    with bound_contextvars(**context, stage="infer"):
        progress = inference.Progress(segment)
        done = attempt(progress.renew, partial(inference.infer, segment, progress))
        if isinstance(done, StereoSpotError):
            if again := recorded(lambda: ledger.fail_segment(segment, done)):
                messages.send_segment(
                    segment.job_id, index, attempt=segment.attempt, pause=again.pause
                )
        elif done is not None:
            finish = partial(
                ledger.finish_segment,
                segment,
                seconds=done.seconds,
                version=done.version,
            )
            last = recorded(finish)
            if last and self.request.chord is None:
                messages.send_stage(Job.objects.get(pk=segment.job_id))


@shared_task(name="concat")
def concat(job_id: str) -> None:
    """Join the stereo segments with the source's sound; the chord's callback."""
    job = ledger.claim_stage(UUID(job_id), Job.Status.REASSEMBLING)
    if job is None:
        return
    with bound_contextvars(job_id=job_id, stage="concat", attempt=job.attempt):
        renew = partial(ledger.renew_stage, job)
        joined = attempt(renew, partial(joining.concat, job))
        if joined is not None and not _failed_stage(job, joined):
            recorded(lambda: ledger.finish_concat(job))


@shared_task(name="tidy")
def tidy(job_id: str) -> None:
    """Delete the objects that only the work needed, once the job is over."""
    tidying.tidy(UUID(job_id))


@shared_task(name="sweep")
def sweep() -> None:
    """Find what was lost and send it again; every half minute."""
    sweeping.sweep()


@worker_ready.connect
def _clear_leftovers(**kwargs: Any) -> None:
    """What a killed worker left on this machine."""
    storage.clear_leftovers()


def _failed_stage(job: Job, outcome: object) -> bool:
    """Record a failed attempt and send the next one, if there is to be one."""
    if not isinstance(outcome, StereoSpotError):
        return False
    if again := recorded(lambda: ledger.fail_stage(job, outcome)):
        messages.send_stage(job, pause=again.pause)
    return True
