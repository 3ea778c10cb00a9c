"""The engine in this process.

torch is imported with the first segment or clip, so that workers of other queues never carry it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import NamedTuple

from apps.jobs import storage
from apps.jobs.models import Invocation
from apps.pipeline.backends.base import Done
from apps.pipeline.backends.claims import Claimed, ClipClaim, SegmentClaim
from apps.pipeline.leases import Lease
from contract.generation import Generated, Generation
from contract.invocation import Completed, Conversion


class Sources(NamedTuple):
    """The objects that a stereo segment is made from, as files."""

    film: Path
    depth: Path | None


class Local:
    """Converts and generates in the worker's own process."""

    def make(self, claim: Claimed, lease: Lease) -> Done:
        """See `Backend`; frames or steps are counted as they are done."""
        with storage.temporary_dir() as folder:
            path = folder / "made.mp4"
            if isinstance(claim, ClipClaim):
                done: Done = _clip(claim, path, lease)
            else:
                done = _stereo(claim, path, lease)
            claim.verify(path)
            lease.check()
            store, key = claim.target
            store.put(key, path)
        return done

    def withdraw(self, invocation: Invocation) -> bool:
        """See `Backend`. It was another backend's, which nobody can ask any more."""
        return True


def _clip(claim: ClipClaim, path: Path, lease: Lease) -> Generated:
    def on_step(steps: int) -> None:
        claim.count(max(0, steps - claim.done))
        lease.check()

    return _generate(claim.request(), path, on_step)


def _stereo(claim: SegmentClaim, path: Path, lease: Lease) -> Completed:
    def on_frames(more: int) -> None:
        claim.count(more)
        lease.check()

    with (
        storage.source().local(claim.owner.source_key) as film,
        _local(claim.owner.depth_key) as depth,
    ):
        return _convert(claim.conversion(), Sources(film, depth), path, on_frames)


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


def _generate(
    wanted: Generation, target: Path, on_step: Callable[[int], None]
) -> Generated:
    from inference.engines import clips
    from inference.generate import generate
    from inference.heartbeat import heard
    from inference.process import give_back_memory, settle

    settle()
    with heard(partial(on_step, 0)):  # as above
        networks = clips()
    try:
        return generate(wanted, target, clips=networks, on_step=on_step)
    finally:
        give_back_memory()
