"""What the page's player must be told of a film: the file itself does not say it there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from apps.jobs import storage
from apps.jobs.models import Job
from apps.pipeline.media.film import Track, text_tracks

_HDR_CURVES = (16, 18)
"""Transfer characteristics of ISO/IEC 23091-2: PQ and HLG."""


@dataclass(frozen=True, slots=True)
class Viewing:
    width: int
    """Of one eye when shown, in square pixels."""
    height: int
    film: str
    """What kind of file the final is, for who cannot play it."""
    source: str
    is_elsewhere: bool
    """The final comes from another origin than the page."""
    is_hdr: bool
    is_deep: bool
    """More than 8 bits a colour."""
    words: dict[int, Track]
    """The final's text tracks, by their numbers among all its subtitles."""

    @classmethod
    def of(cls, job: Job) -> Self:
        picture = job.get_picture()
        across, down = picture.sample_aspect_ratio
        codec = (job.film or {}).get("codec") or "an unknown codec"
        return cls(
            width=round(picture.eye_width * across / down),
            height=picture.eye_height,
            film=f"{picture.codec} in {job.final_extension}",
            source=f"{codec} in {job.source_extension}",
            is_elsewhere=isinstance(storage.result(), storage.Bucket),
            is_hdr=picture.color_trc in _HDR_CURVES,
            is_deep=picture.pixel_format == "yuv420p10le",
            words=text_tracks(job.film),
        )
