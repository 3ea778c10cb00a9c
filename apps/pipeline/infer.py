"""One segment object → the engine → its stereo segment, verified and in the store.

`local` runs the engine in this process. torch is imported with the first segment, so
that workers of other queues never carry it.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from apps.jobs import ledger, storage
from apps.jobs.models import Segment
from apps.pipeline.leases import Lease
from apps.pipeline.media.verify import verify_segment
from contract.invocation import Completed, Conversion
from contract.modes import Engine, StereoMode

if TYPE_CHECKING:
    from inference.pipeline import Pipeline


class Sources(NamedTuple):
    """The objects that a stereo segment is made from, as files."""

    film: Path
    depth: Path | None


class SegmentClaim:
    """A claimed segment: the engine counts its frames, the lease's renewal records."""

    def __init__(self, segment: Segment) -> None:
        self.segment = segment
        self.frames_done = 0
        self._first: tuple[float, int] | None = None

    def renew(self) -> bool:
        return ledger.renew_segment(self.segment, frames_done=self.frames_done)

    def release(self) -> bool:
        return ledger.release_segment(self.segment)

    def count(self, frames: int) -> None:
        self.frames_done += frames
        self._first = self._first or (time.monotonic(), self.frames_done)

    def remaining(self, elapsed: float) -> float:
        """By the pace since the first frames: what came before them comes once."""
        since, at_first = self._first or (0.0, self.frames_done)
        if self.frames_done == at_first:
            return elapsed
        pace = (time.monotonic() - since) / (self.frames_done - at_first)
        return pace * (self.segment.frame_count - self.frames_done)


def infer(claim: SegmentClaim, lease: Lease) -> Completed:
    """Convert a claimed segment; its stereo segment is in the store afterwards.

    Raises `StereoSpotError`, and whatever `lease.check` does.
    """
    segment = claim.segment

    def on_frames(more: int) -> None:
        claim.count(more)
        lease.check()

    conversion = _conversion(segment)
    with (
        storage.translated(),
        storage.source().local(segment.source_key) as film,
        _local(segment.depth_key) as depth,
        storage.temporary_dir() as folder,
    ):
        target = folder / "stereo.mp4"
        completed = _convert(conversion, Sources(film, depth), target, on_frames)
        verify_segment(target, conversion.frames, conversion.picture, conversion.mode)
        lease.check()
        storage.result().put(segment.stereo_key, target)
    return completed


def _local(key: str | None) -> AbstractContextManager[Path | None]:
    return nullcontext() if key is None else storage.source().local(key)


def _convert(
    conversion: Conversion,
    sources: Sources,
    target: Path,
    on_frames: Callable[[int], None],
) -> Completed:
    from inference.convert import convert
    from inference.process import give_back_memory

    engine = pipeline(conversion.engine, reference=conversion.settings.reference)
    try:
        return convert(
            conversion,
            sources.film,
            target,
            pipeline=engine,
            on_frames=on_frames,
            depth=sources.depth,
        )
    finally:
        give_back_memory()


def _conversion(segment: Segment) -> Conversion:
    job = segment.job
    return Conversion(
        mode=StereoMode(job.mode),
        engine=Engine(job.engine),
        settings=job.settings,
        frames=segment.get_frames(),
        depth=segment.get_depth(),
        picture=job.get_picture(),
        # The same for each attempt, so that a retry gives the same film.
        seed=(job.pk.int + segment.index) % 2**31,
    )


@functools.cache
def pipeline(engine: Engine, *, reference: bool) -> Pipeline:
    """Loaded once per process: weights, where an engine has any."""
    from inference import process
    from inference.engines import pipeline_for

    process.settle()
    return pipeline_for(engine, reference=reference)
