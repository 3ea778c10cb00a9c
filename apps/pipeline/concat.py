"""Stereo segments and the source's own sound and subtitles → the final, verified."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import structlog
from django.conf import settings

from apps.jobs import storage
from apps.jobs.models import Job, Segment
from apps.pipeline.leases import Lease, recorded
from apps.pipeline.media.film import Film, text_tracks
from apps.pipeline.media.join import join
from apps.pipeline.media.sandbox import Allowance, Sandbox
from apps.pipeline.media.subtitles import write_subtitles
from apps.pipeline.media.verify import verify_final, verify_segment
from contract.errors import StereoSpotError
from contract.keys import SubtitleKey
from contract.modes import StereoMode

log = structlog.get_logger(__name__)


def concat(job: Job, lease: Lease) -> Collection[int]:
    """Join the job's stereo segments.

    None is named once the final is in the store. Otherwise those that are not what their
    manifests say, and have to be made again; they are deleted. Raises `StereoSpotError`,
    and whatever `lease.check` does.
    """
    segments = recorded(lambda: list(job.segments.order_by("index")))
    result = storage.result()
    with (
        storage.translated(),
        storage.source().local(job.source_key) as source,
        storage.temporary_dir() as folder,
        result.all_local([each.stereo_key for each in segments], lease.check) as paths,
    ):
        final = folder / f"final.{job.final_extension}"
        try:
            _join(job, lease, source, dict(zip(paths, segments, strict=True)), final)
        except StereoSpotError as error:
            pairs = zip(segments, paths, strict=True)
            wrong = [segment for segment, path in pairs if _is_wrong(segment, path)]
            if not wrong:
                raise
            log.warning("stereo segments are not what they were", reason=error.message)
            lease.check()
            for segment in wrong:
                result.delete(segment.stereo_key)
            return [segment.index for segment in wrong]
        lease.check()
        _tell_words(job, lease, final)
        result.put(job.final_key, final)
    return ()


def _join(
    job: Job, lease: Lease, source: Path, segments: dict[Path, Segment], final: Path
) -> None:
    frames = [segment.get_frames() for segment in segments.values()]
    film = Film.model_validate(job.film)
    sandbox = Sandbox(Allowance(seconds=settings.SANDBOX_SECONDS), lease.check)
    mode = StereoMode(job.mode)
    with sandbox.opened() as process:
        sound = process.call(join, source, frames, list(segments), final, mode)
        process.call(verify_final, final, sound, film, frames)


def _tell_words(job: Job, lease: Lease, final: Path) -> None:
    """Put the final's text subtitles beside it, for the page; it is whole without them."""
    if not text_tracks(job.film):
        return
    folder = final.with_name("subtitles")
    folder.mkdir()
    sandbox = Sandbox(Allowance(seconds=settings.SANDBOX_SECONDS), lease.check)
    try:
        numbers = sandbox.call(write_subtitles, final, folder)
    except StereoSpotError as error:
        log.warning("subtitles are not shown on the page", reason=error.message)
        return
    for number in numbers:
        key = SubtitleKey(job.pk, number)
        storage.result().put(str(key), folder / f"{number}.vtt")


def _is_wrong(segment: Segment, path: Path) -> bool:
    """Whoever converts for a cut that was abandoned, and hears of it late, may overwrite
    what was verified for the new one."""
    job = segment.job
    try:
        verify_segment(
            path, segment.get_frames(), job.get_picture(), StereoMode(job.mode)
        )
    except StereoSpotError:
        return True
    return False
