"""The engine in this process.

torch is imported with the first segment, so that workers of other queues never carry it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import NamedTuple

from apps.jobs import storage
from apps.jobs.models import Invocation
from apps.pipeline.backends.base import SegmentClaim, conversion_of
from apps.pipeline.leases import Lease
from apps.pipeline.media.verify import verify_segment
from contract.invocation import Completed, Conversion


class Sources(NamedTuple):
    """The objects that a stereo segment is made from, as files."""

    film: Path
    depth: Path | None


class Local:
    """Converts in the worker's own process."""

    def convert(self, claim: SegmentClaim, lease: Lease) -> Completed:
        """See `Backend`; frames are counted as they are made."""
        segment = claim.segment

        def on_frames(more: int) -> None:
            claim.count(more)
            lease.check()

        conversion = conversion_of(segment)
        with (
            storage.source().local(segment.source_key) as film,
            _local(segment.depth_key) as depth,
            storage.temporary_dir() as folder,
        ):
            target = folder / "stereo.mp4"
            completed = _convert(conversion, Sources(film, depth), target, on_frames)
            verify_segment(
                target, conversion.frames, conversion.picture, conversion.mode
            )
            lease.check()
            storage.result().put(segment.stereo_key, target)
        return completed

    def withdraw(self, invocation: Invocation) -> bool:
        """See `Backend`. It was another backend's, which nobody can ask any more."""
        return True


def _local(key: str | None) -> AbstractContextManager[Path | None]:
    return nullcontext() if key is None else storage.source().local(key)


def _convert(
    conversion: Conversion,
    sources: Sources,
    target: Path,
    on_frames: Callable[[int], None],
) -> Completed:
    from inference.convert import convert
    from inference.engines import pipeline_for
    from inference.heartbeat import heard
    from inference.process import give_back_memory, settle

    settle()
    with heard(partial(on_frames, 0)):  # weights may be fetched for minutes
        pipeline = pipeline_for(
            conversion.engine,
            reference=conversion.settings.reference,
            depth=conversion.depth is None,
        )
    try:
        return convert(
            conversion,
            sources.film,
            target,
            pipeline=pipeline,
            on_frames=on_frames,
            depth=sources.depth,
        )
    finally:
        give_back_memory()
