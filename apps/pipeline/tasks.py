"""The tasks of a film. Each: claim, do, record, hand on.

A message may come twice, late, or for a job that was stopped meanwhile: then the ledger
refuses the claim, and the task goes home. When somebody else is at it, this delivery must
not count as done (`Ignore`); when it is done already, it must (a chord may have missed
it). What a crash loses between recording and handing on, the sweep sends again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from typing import Any, NoReturn, ParamSpec, TypeVar
from uuid import UUID

from celery import Task, shared_task
from celery.exceptions import Ignore
from celery.signals import worker_ready
from structlog.contextvars import bound_contextvars

from apps.jobs import ledger, storage
from apps.jobs.ledger import Refused, Retry
from apps.jobs.models import Job
from apps.jobs.sending import after_commit
from apps.pipeline import chunk as chunking
from apps.pipeline import concat as joining
from apps.pipeline import generate as generating
from apps.pipeline import handover, messages, rooms, telling
from apps.pipeline import infer as inference
from apps.pipeline import ingest as ingesting
from apps.pipeline import sweep as sweeping
from apps.pipeline import tidy as tidying
from apps.pipeline.attempts import attempt
from apps.pipeline.backends import ClipClaim
from apps.pipeline.leases import StageClaim, recorded
from contract.errors import StereoSpotError
from workers.batches import publish_batch

P = ParamSpec("P")
Claimed = TypeVar("Claimed")

TOLD = (StereoSpotError,)
"""What the ledger and the attempt's own log tell; no traceback for Celery to log."""
PUBLISH_SECONDS = 60.0
"""Most that a worker publishes the conversion of a film; the sweep sends what is left."""


@shared_task(name="ingest", bind=True, max_retries=None, throws=TOLD)
def ingest(self: Task[..., Any], job_id: str) -> None:
    """Fetch the source that nobody brings, then have it cut."""
    job = _claimed(ledger.claim_stage, UUID(job_id), Job.Status.INGESTING)
    if job is None:
        _hand_on_again(self, UUID(job_id))
        return
    with bound_contextvars(job_id=job_id, stage="ingest", attempt=job.attempt):
        source = attempt(StageClaim(job), partial(ingesting.ingest, job))
        if isinstance(source, StereoSpotError):
            again = recorded(lambda: ledger.fail_stage(job, source))
            _again(self, job.pk, again, source)
        if not recorded(lambda: ledger.finish_ingest(job, *source)):
            raise Ignore
    messages.send_stage(recorded(lambda: Job.objects.get(pk=job.pk)))


@shared_task(name="generate", bind=True, max_retries=None, throws=TOLD)
def generate(self: Task[..., Any], job_id: str) -> None:
    """Make the clip of the job's prompt; then have it cut, if more is to become of it."""
    job = _claimed(ledger.claim_stage, UUID(job_id), Job.Status.INGESTING)
    if job is None:
        _hand_on_again(self, UUID(job_id))
        return
    claim = ClipClaim(job)
    with bound_contextvars(job_id=job_id, stage="generate", attempt=job.attempt):
        done = attempt(claim, partial(generating.generate, claim))
        if isinstance(done, StereoSpotError):
            again = recorded(lambda: ledger.fail_stage(job, done))
            _again(self, job.pk, again, done)
        picture = claim.request().picture
        if not recorded(lambda: ledger.finish_generate(job, done, picture)):
            raise Ignore
    if job.is_flat:
        after_commit(messages.send_notices, job.pk)
    else:
        messages.send_stage(recorded(lambda: Job.objects.get(pk=job.pk)))


@shared_task(name="chunk", bind=True, max_retries=None, throws=TOLD)
def chunk(self: Task[..., Any], job_id: str) -> None:
    """Cut the source, then become the chord that converts and joins the segments."""
    job = _claimed(ledger.claim_stage, UUID(job_id), Job.Status.CHUNKING)
    if job is None:
        _hand_on_again(self, UUID(job_id))
        return
    with bound_contextvars(job_id=job_id, stage="chunk", attempt=job.attempt):
        frames = attempt(StageClaim(job), partial(chunking.chunk, job))
        if isinstance(frames, StereoSpotError):
            again = recorded(lambda: ledger.fail_stage(job, frames))
            _again(self, job.pk, again, frames)
        if not recorded(lambda: ledger.finish_chunk(job, frames)):
            raise Ignore
    job.total_segments = len(frames)
    _become_conversion(self, job)


@shared_task(name="infer", bind=True, max_retries=None, throws=TOLD)
def infer(self: Task[..., Any], job_id: str, index: int) -> None:
    """Convert one segment; whoever finishes the last one starts the concat."""
    segment = _claimed(ledger.claim_segment, UUID(job_id), index)
    if segment is None:
        _hand_on_again(self, UUID(job_id))
        return
    context = {"job_id": job_id, "segment_index": index, "attempt": segment.attempt}
    with bound_contextvars(**context, stage="infer"):
        claim = inference.SegmentClaim(segment)
        done = attempt(claim, partial(inference.infer, claim))
        if isinstance(done, StereoSpotError):
            again = recorded(lambda: ledger.fail_segment(segment, done))
            _again(self, segment.job_id, again, done)
        finish = partial(ledger.finish_segment, segment)
        last = recorded(lambda: finish(seconds=done.seconds, version=done.version))
    if isinstance(last, Refused):
        raise Ignore
    if last:
        # Not left to the chord, of which parts may be missing that came another way.
        messages.send_stage(recorded(lambda: Job.objects.get(pk=segment.job_id)))


@shared_task(name="concat", bind=True, max_retries=None, throws=TOLD)
def concat(self: Task[..., Any], job_id: str) -> None:
    """Join the stereo segments with the source's sound; the chord's callback."""
    job = _claimed(ledger.claim_stage, UUID(job_id), Job.Status.REASSEMBLING)
    if job is None:
        return
    with bound_contextvars(job_id=job_id, stage="concat", attempt=job.attempt):
        joined = attempt(StageClaim(job), partial(joining.concat, job))
        if isinstance(joined, StereoSpotError):
            again = recorded(lambda: ledger.fail_stage(job, joined))
            _again(self, job.pk, again, joined)
        if joined:
            _convert_again(job, joined)
        elif recorded(lambda: ledger.finish_concat(job)):
            after_commit(messages.send_notices, job.pk)


@shared_task(name="tidy", throws=TOLD)
def tidy(job_id: str) -> None:
    """Delete the objects that nobody needs any more, once the job is over."""
    recorded(lambda: tidying.tidy(UUID(job_id)))


@shared_task(name="tell", bind=True, max_retries=None, throws=TOLD)
def tell(self: Task[..., Any], notice_id: str) -> None:
    """Tell one person one thing, over one channel."""
    try:
        with rooms.TELLING.place():
            telling.tell(UUID(notice_id))
    except rooms.FullError:
        raise self.retry(countdown=rooms.PUT_BACK, throw=False) from None


@shared_task(name="hand_over", bind=True, max_retries=None, throws=TOLD)
def hand_over(self: Task[..., Any], task_id: str) -> None:
    """Give one producer its clips and their status, where it looks for them."""
    try:
        with rooms.HANDING_OVER.place():
            handover.hand_over(UUID(task_id))
    except rooms.FullError:
        raise self.retry(countdown=rooms.PUT_BACK, throw=False) from None


@shared_task(name="sweep")
def sweep() -> None:
    """Find what was lost and send it again; every half minute."""
    recorded(sweeping.sweep)


@worker_ready.connect
def _clear_leftovers(**kwargs: Any) -> None:
    """What a killed worker left on this machine."""
    storage.clear_leftovers()


def _claimed(
    claim: Callable[P, Claimed | Refused], *args: P.args, **kwargs: P.kwargs
) -> Claimed | None:
    """What was claimed, or None when there is nothing to do."""
    claimed = recorded(lambda: claim(*args, **kwargs))
    if claimed is Refused.TAKEN:
        raise Ignore
    return None if claimed is Refused.OVER else claimed


def _become_conversion(task: Task[..., Any], job: Job) -> NoReturn:
    indexes = range(job.total_segments or 0)
    canvas = messages.conversion(job.pk, indexes, attempt=job.attempt)
    with publish_batch(PUBLISH_SECONDS):
        raise task.replace(canvas)


def _convert_again(job: Job, indexes: Collection[int]) -> None:
    """Stereo segments that were there are wrong or gone; the job fails if they were so
    time and again."""
    moved = recorded(lambda: ledger.convert_again(job, indexes))
    if moved is None:
        raise Ignore
    if moved.status == Job.Status.CHUNKED:
        messages.send_retry(moved)
    else:
        after_commit(messages.send_notices, job.pk)


def _hand_on_again(task: Task[..., Any], job_id: UUID) -> None:
    """The work is done, but who did it may have died before it was handed on.

    The messages have the ids that they had, so what was sent is not done twice.
    """
    if not (task.request.delivery_info or {}).get("redelivered"):
        return
    job = recorded(lambda: Job.objects.filter(pk=job_id).first())
    if job is None:
        return
    if task.name in ("ingest", "generate") and job.status == Job.Status.CHUNKING:
        messages.send_stage(job)
    elif task.name == "chunk" and job.status == Job.Status.CHUNKED:
        _become_conversion(task, job)
    elif task.name == "infer" and job.status == Job.Status.REASSEMBLING:
        messages.send_stage(job)


def _again(
    task: Task[..., Any],
    job_id: UUID,
    again: Retry | Refused | None,
    error: StereoSpotError,
) -> NoReturn:
    """The attempt failed and that is recorded: retry, or fail for good."""
    if isinstance(again, Refused):
        raise Ignore
    if again is None:
        after_commit(messages.send_notices, job_id)
        raise error
    raise task.retry(countdown=again.pause, exc=error)
