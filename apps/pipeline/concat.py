"""Stereo segments and the source's own sound and subtitles → the final, verified."""

from __future__ import annotations

import contextlib

from django.conf import settings

from apps.jobs import storage
from apps.jobs.models import Job
from apps.pipeline.leases import Lease, recorded
from apps.pipeline.media.film import Film
from apps.pipeline.media.join import join
from apps.pipeline.media.sandbox import Allowance, Sandbox
from apps.pipeline.media.verify import verify_final
from contract.modes import StereoMode


def concat(job: Job, lease: Lease) -> bool:
    """Join the job's stereo segments; True once the final is in the store.

    Raises `StereoSpotError`, and whatever `lease.check` does.
    """
    segments = recorded(lambda: list(job.segments.order_by("index")))
    frames = [segment.get_frames() for segment in segments]
    film = Film.model_validate(job.film)
    result = storage.result()
    with (
        storage.translated(),
        storage.source().local(job.source_key) as source,
        storage.temporary_dir() as folder,
        contextlib.ExitStack() as downloads,
    ):
        paths = []
        for segment in segments:
            lease.check()
            paths.append(downloads.enter_context(result.local(segment.stereo_key)))
        final = folder / f"final.{job.final_extension}"
        sandbox = Sandbox(Allowance(seconds=settings.SANDBOX_SECONDS), lease.check)
        sandbox.call(join, source, frames, paths, final, StereoMode(job.mode))
        sandbox.call(verify_final, final, source, film, frames)
        lease.check()
        result.put(job.final_key, final)
    return True
