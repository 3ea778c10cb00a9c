"""Source → segments: probe it, plan where to cut, write the segment objects.

Where a person brought depth, it is cut at the same frames, into objects of its own.
A stranger's file is only ever parsed in the sandbox.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TypeVar

import structlog
from django.conf import settings

from apps.jobs import ledger, storage
from apps.jobs.ledger import Cut
from apps.jobs.models import Job
from apps.pipeline.leases import Lease, LeaseLostError, recorded
from apps.pipeline.media.depth import PreparedDepth, prepare_depth, split_depth
from apps.pipeline.media.film import Film
from apps.pipeline.media.plan import SLACK, Span
from apps.pipeline.media.prepare import Prepared, Wishes, prepare, split_prepared
from apps.pipeline.media.probe import Limits, probe
from apps.pipeline.media.sandbox import Allowance, Process, Sandbox
from contract.errors import Blame, ErrorCode, StereoSpotError
from contract.frames import DepthFrames, SegmentFrames
from contract.keys import DepthSegmentKey, SegmentKey, segments_prefix
from contract.modes import Engine, StereoMode
from contract.pictures import picture_for

log = structlog.get_logger(__name__)

Frames = TypeVar("Frames", SegmentFrames, DepthFrames)

WORK_SECONDS = 1800.0
"""Of work at one segment: half of the hour that providers and our own limit allow."""
MOST_FRAMES = 120.0
"""A second, of films that are watched; a header may say any number."""


def chunk(job: Job, lease: Lease) -> list[Cut]:
    """The manifests of the segment objects, which are in the store afterwards.

    Raises `StereoSpotError`, after which no segment object is left, and
    whatever `lease.check` does.
    """
    limits = _limits()
    sandbox = Sandbox(Allowance(seconds=settings.SANDBOX_SECONDS), lease.check)
    with (
        storage.translated(),
        storage.source().local(job.source_key) as source,
        storage.temporary_dir() as folder,
        sandbox.opened() as process,
    ):
        lease.check()
        film = process.call(probe, source, limits)
        _charge(job, film.duration)
        wishes = _wishes(film, Engine(job.engine))
        prepared = process.call(prepare, source, film, folder, wishes)
        with _prepared_depth(job, sandbox, prepared.spans) as depth:
            total = len(prepared.spans)
            _charge(job, film_seconds(film, prepared))
            log.info("film planned", segments=total, codec=film.codec)
            picture = picture_for(film, StereoMode(job.mode))
            facts = film.model_dump(mode="json")
            plan = (job, facts, picture, film.extension, total)
            if not recorded(lambda: ledger.record_plan(*plan)):
                raise LeaseLostError
            frames = _film_segments(job, process, prepared, folder)
            return _written(job, sandbox, frames, depth, folder)


@contextmanager
def _prepared_depth(
    job: Job, sandbox: Sandbox, spans: list[Span]
) -> Iterator[PreparedDepth | None]:
    """The depth video that came with the film, checked and ready to be cut."""
    if job.depth_key is None:
        yield None
        return
    with (
        storage.source().local(job.depth_key) as source,
        storage.temporary_dir() as folder,
    ):
        with _told_of_depth():
            depth = sandbox.call(prepare_depth, source, _limits(), folder, spans)
        yield depth


def _written(
    job: Job,
    sandbox: Sandbox,
    segments: Iterator[SegmentFrames],
    depth: PreparedDepth | None,
    folder: Path,
) -> list[Cut]:
    """The segments, cut and put into the store; where that fails, none is left there."""
    try:
        frames = list(segments)
        if depth is None:
            return [Cut(manifest) for manifest in frames]
        depths = _depth_segments(job, sandbox, depth, folder, len(frames))
        return [Cut(*pair) for pair in zip(frames, depths, strict=True)]
    except Exception:
        # Whoever took the job over meanwhile writes the same keys.
        if recorded(lambda: ledger.renew_stage(job)):
            storage.source().delete_prefix(segments_prefix(job.pk))
        raise


def _film_segments(
    job: Job, process: Process, prepared: Prepared, folder: Path
) -> Iterator[SegmentFrames]:
    mode, total = StereoMode(job.mode), len(prepared.spans)
    with closing(process.iterate(split_prepared, prepared, folder)) as parts:
        yield from _stored(
            parts, lambda index: str(SegmentKey(job.pk, index, total, mode))
        )


def _depth_segments(
    job: Job, sandbox: Sandbox, depth: PreparedDepth, folder: Path, total: int
) -> Iterator[DepthFrames]:
    with (
        _told_of_depth(),
        closing(sandbox.iterate(split_depth, depth, folder)) as parts,
    ):
        yield from _stored(
            parts, lambda index: str(DepthSegmentKey(job.pk, index, total))
        )


def _stored(
    parts: Iterator[tuple[int, Path, Frames]], key: Callable[[int], str]
) -> Iterator[Frames]:
    """The parts' manifests; each part goes to the store while the next one is cut."""
    store = storage.source()
    with ThreadPoolExecutor(1) as sender:
        sent: Future[None] | None = None
        for index, path, frames in parts:
            if sent is not None:
                sent.result()  # so no more than two lie on our disk
            sent = sender.submit(store.put, key(index), path)
            yield frames
        if sent is not None:
            sent.result()


@contextmanager
def _told_of_depth() -> Iterator[None]:
    """What is wrong with a film is here wrong with the depth video."""
    try:
        yield
    except StereoSpotError as error:
        code = error.code
        if code.blame is not Blame.USER or code is ErrorCode.DEPTH_UNUSABLE:
            raise
        told = f"The depth video cannot be used. {error.message}"
        raise StereoSpotError(ErrorCode.DEPTH_UNUSABLE, told) from error


def _charge(job: Job, seconds: float) -> None:
    if not recorded(lambda: ledger.charge(job, seconds)):
        raise LeaseLostError


def film_seconds(film: Film, prepared: Prepared) -> float:
    """How long the film is, also where its header says too little, or nothing.

    Its frames are what costs: more of them than MOST_FRAMES a second count as longer.
    """
    frames = sum(span.count for span in prepared.spans)
    return max(film.duration, frames / min(film.frames_per_second, MOST_FRAMES))


def _wishes(film: Film, engine: Engine) -> Wishes:
    return Wishes(
        target_seconds=segment_seconds(film, engine),
        look_for_cuts=engine.pays_for_context,
    )


def segment_seconds(film: Film, engine: Engine) -> float:
    """How long segments should be: as settings say, or shorter where the engine is slow.

    So that WORK_SECONDS suffice for one, which may be half as long again to end on a cut.
    """
    megapixels = film.width * film.height / 1e6
    work = engine.seconds_per_megapixel * megapixels * film.frames_per_second
    return min(settings.SEGMENT_SECONDS, WORK_SECONDS / (1 + SLACK) / work)


def _limits() -> Limits:
    return Limits(bytes=settings.MAX_SOURCE_BYTES, seconds=settings.MAX_SOURCE_SECONDS)
