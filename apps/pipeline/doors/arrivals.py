"""What S3 and SageMaker say has arrived: sources, films for a person, answers.

Nothing of it is believed. A source is looked for in the store, a film in a drop folder is
known by what it is now, and of an answer only that is taken that somebody should look.
"""

from __future__ import annotations

import re
from uuid import UUID, uuid5

import structlog
from django.conf import settings
from django.contrib.auth.models import User

from apps.jobs import ledger, linking, storage
from apps.jobs.models import Job
from apps.jobs.names import title_of
from apps.jobs.once import UsedError
from apps.pipeline import arriving, messages
from apps.pipeline.doors import envelopes
from apps.pipeline.doors.envelopes import Arrival
from apps.pipeline.fetching import bucket
from contract.errors import ErrorCode, StereoSpotError
from contract.keys import DepthKey, DropKey, SourceKey, StereoSegmentKey
from contract.modes import StereoMode
from contract.origins import Dropped
from workers.bridge import LaterError, UnintelligibleError

log = structlog.get_logger(__name__)

NAMESPACE = UUID("5d0f7c52-8d0e-4a53-9d3a-1f6f5c1b7d10")
"""Of the requests that drop folders make."""
_INFERENCE_ID = re.compile(
    r"(?P<job_id>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})-(?P<index>\d{1,5}|clip)-\d{1,9}",
    re.ASCII,
)


def handle(body: str) -> None:
    """One message about objects, or about an asynchronous invocation that ended.

    Raises `UnintelligibleError`, and what store and database raise.
    """
    message = envelopes.opened(body, topics=settings.BRIDGE_TOPICS)
    arrived = envelopes.arrivals(message)
    if arrived is not None:
        _take_all(arrived)
        return
    if isinstance(inference_id := message.get("inferenceId"), str):
        _hint(*_named_in(inference_id))
        return
    raise UnintelligibleError("it tells of no object and of no invocation")


def _take_all(arrived: list[Arrival]) -> None:
    """What nobody understands keeps nothing from being taken that came with it."""
    troubles = []
    for arrival in arrived:
        try:
            _take(arrival)
        except UnintelligibleError as error:
            troubles.append(str(error))
    if troubles:
        raise UnintelligibleError("; ".join(troubles))


def _take(arrival: Arrival) -> None:
    if arrival.bucket == storage.bucket_name(storage.source()):
        if source := SourceKey.parse(arrival.key) or DepthKey.parse(arrival.key):
            _start(source.job_id, arrival.key)
        elif drop := DropKey.parse(arrival.key):
            _begin(arrival, drop)
        elif _is_misplaced(arrival.key):
            raise UnintelligibleError(f"{arrival.key!r} is in no drop folder")
    elif arrival.bucket == storage.bucket_name(storage.result()):
        if segment := StereoSegmentKey.parse(arrival.key):
            _hint(segment.job_id, segment.index)
    else:
        raise UnintelligibleError(f"{arrival.bucket!r} is no bucket of ours")


def _is_misplaced(key: str) -> bool:
    """A film that somebody waits for in vain; a folder itself is an object with a slash."""
    return key.startswith("drop/") and not key.endswith("/")


def _start(job_id: UUID, key: str) -> None:
    """The source arrived; whoever brought it may not live to say so."""
    job = Job.objects.filter(pk=job_id, status=Job.Status.CREATED).first()
    if job is None or key not in (job.source_key, job.depth_key):
        return
    arriving.start_if_arrived(job)


def _begin(arrival: Arrival, drop: DropKey) -> None:
    """A film for a known person, to be converted as the folder's name says."""
    owner = User.objects.filter(username=drop.username, is_active=True).first()
    if owner is None:
        raise UnintelligibleError(f"there is nobody called {drop.username!r}")
    mark = bucket.mark(arrival.bucket, arrival.key)
    if mark is None:
        return  # it is gone again
    job = Job(
        owner=owner,
        title=title_of(drop.name),
        mode=drop.mode or StereoMode.SBS,
        engine=settings.DROP_ENGINE,
        # By what lies there now: told twice or late of the same film, it is one job.
        request_id=uuid5(NAMESPACE, f"{arrival.bucket}/{arrival.key} {mark}"),
    )
    try:
        linking.begin_from(job, Dropped(key=arrival.key))
    except UsedError as error:
        # Its job was deleted since, or folders mean something else now: it was done once.
        log.info("film was dropped before", reason=error.message, owner=owner.pk)
        return
    except StereoSpotError as error:
        if error.code not in (ErrorCode.TOO_MANY_FILMS, ErrorCode.MINUTES_USED_UP):
            raise
        raise LaterError(error.message) from error
    log.info("film dropped", job_id=str(job.pk), owner=owner.pk)


def _named_in(inference_id: str) -> tuple[UUID, int | None]:
    """The job, and the segment unless it is the clip."""
    match = _INFERENCE_ID.fullmatch(inference_id)
    if match is None:
        raise UnintelligibleError(f"{inference_id!r} is no invocation of ours")
    index = None if match["index"] == "clip" else int(match["index"])
    return UUID(match["job_id"]), index


def _hint(job_id: UUID, index: int | None) -> None:
    """Something of a segment or of the clip has arrived: if nobody waits for it, somebody
    should look."""
    if index is None:
        if job := ledger.hasten_clip(job_id):
            messages.send_stage(job)
        return
    segment = ledger.hasten(job_id, index)
    if segment is not None:
        messages.send_segment(job_id, index, attempt=segment.attempt)
