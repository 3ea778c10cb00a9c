"""Source → segments: probe it, plan where to cut, write the segment objects.

A stranger's file is only ever parsed in the sandbox.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import structlog
from django.conf import settings

from apps.jobs import ledger, storage
from apps.jobs.models import Job
from apps.pipeline.leases import Lease, LeaseLostError, recorded
from apps.pipeline.media.film import picture_for
from apps.pipeline.media.prepare import Prepared, Wishes, prepare, split_prepared
from apps.pipeline.media.probe import Limits, probe
from apps.pipeline.media.sandbox import Allowance, Sandbox
from contract.frames import SegmentFrames
from contract.keys import SegmentKey, segments_prefix
from contract.modes import StereoMode

log = structlog.get_logger(__name__)


def chunk(job: Job, lease: Lease) -> list[SegmentFrames]:
    """The manifests of the segment objects, which are in the store afterwards.

    Raises `StereoSpotError`, after which no segment object is left, and
    whatever `lease.check` does.
    """
    limits = Limits(
        bytes=settings.MAX_SOURCE_BYTES, seconds=settings.MAX_SOURCE_SECONDS
    )
    wishes = Wishes(target_seconds=settings.SEGMENT_SECONDS)
    sandbox = Sandbox(Allowance(seconds=settings.SANDBOX_SECONDS), lease.check)
    with (
        storage.translated(),
        storage.source().local(job.source_key) as source,
        storage.temporary_dir() as folder,
    ):
        lease.check()
        film = sandbox.call(probe, source, limits)
        prepared = sandbox.call(prepare, source, film, folder, wishes)
        total = len(prepared.spans)
        log.info("film planned", segments=total, codec=film.codec)
        picture = picture_for(film, StereoMode(job.mode))
        facts = film.model_dump(mode="json")
        plan = (job, facts, picture, film.extension, total)
        if not recorded(lambda: ledger.record_plan(*plan)):
            raise LeaseLostError
        return _write_segments(job, sandbox, prepared, folder)


def _write_segments(
    job: Job, sandbox: Sandbox, prepared: Prepared, folder: Path
) -> list[SegmentFrames]:
    """Put each segment object into the store as soon as it is cut."""
    mode, total = StereoMode(job.mode), len(prepared.spans)
    frames = []
    try:
        with closing(sandbox.iterate(split_prepared, prepared, folder)) as parts:
            for index, path, manifest in parts:
                key = str(SegmentKey(job.pk, index, total, mode))
                storage.source().put(key, path)
                frames.append(manifest)
    except Exception:
        # Whoever took the job over meanwhile writes the same keys.
        if recorded(lambda: ledger.renew_stage(job)):
            storage.source().delete_prefix(segments_prefix(job.pk))
        raise
    return frames
