"""Stereo segments and the source's own sound and subtitles → the final, verified."""

from __future__ import annotations

import contextlib

from django.conf import settings

from apps.jobs import storage
from apps.jobs.models import Job
from apps.pipeline.leases import Lease
from apps.pipeline.media import sandbox
from apps.pipeline.media.film import Film
from apps.pipeline.media.join import join
from apps.pipeline.media.sandbox import Allowance
from apps.pipeline.media.verify import verify_final
from contract.modes import StereoMode


def concat(job: Job, lease: Lease) -> bool:
    """Join the job's stereo segments; True once the final is in the store.

    Raises `StereoSpotError`, and `LeaseLostError` once the lease is gone.
    """
    segments = list(job.segments.order_by("index"))
    frames = [segment.get_frames() for segment in segments]
    film = Film.model_validate(job.film)
    result = storage.result()
    with (
        storage.translated(),
        storage.source().local(job.source_key) as source,
        storage.temporary_dir() as folder,
        contextlib.ExitStack() as downloads,
    ):
        paths = [
            downloads.enter_context(result.local(segment.stereo_key))
            for segment in segments
        ]
        lease.check()
        final = folder / f"final.{job.final_extension}"
        allowance = Allowance(seconds=settings.SANDBOX_SECONDS)
        mode = StereoMode(job.mode)
        sandbox.call(allowance, join, source, frames, paths, final, mode)
        lease.check()
        sandbox.call(allowance, verify_final, final, source, film, frames)
        lease.check()
        result.put(job.final_key, final)
    return True
