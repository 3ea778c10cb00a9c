"""A lossless copy of a film whose packets cannot be cut: the way round, not the way.

It costs an encode and about twenty times the bytes, so it is made only where a stream
copy cannot be: packets without usable timestamps, a codec that no segment object
stores, or keyframes so far apart that the copies would exceed the source twice over.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from apps.pipeline.media.film import Film
from apps.pipeline.media.split import MOVIE_TIMESCALE
from apps.pipeline.media.tools import local_input, run_ffmpeg

_X264_FORMATS: Final = frozenset(
    f"yuv{layout}p{depth}" for layout in ("420", "422", "444") for depth in ("", "10le")
) | {"yuvj420p", "yuvj422p", "yuvj444p"}
"""What x264 encodes without conversion, in even sizes; FFV1 takes the rest."""
_SECONDS_PER_SECOND: Final = 60
"""Time limit per second of film: 4K on two cores takes about ten."""
_LEAST_SECONDS: Final = 600
_RISING: Final = (
    "if(isnan(PTS),PREV_OUTPTS+1,if(isnan(PREV_OUTPTS),PTS,max(PTS,PREV_OUTPTS+1)))"
)
"""Every frame later than the one before, changed only where the source is not so."""


def make_mezzanine(source: Path, film: Film, directory: Path) -> Path:
    """Encode every frame once, bit for bit, at the source's timestamps.

    The result has the source's clock: a final joined from its segments still fits the
    source's sound. Raises StereoSpotError.
    """
    target = directory / "mezzanine.mov"
    # Frames stay as they lie in the file; the worker turns them upright.
    stream = local_input(source, noautorotate=None, copyts=None)["v:0"]
    ticks = film.time_base[1]
    while ticks < 10_000:
        ticks *= 10
    stream = stream.filter("setpts", _RISING)
    encoder = _encoder(film)
    if encoder["pix_fmt"] != film.pixel_format:
        # FFV1 has no full-range formats, and ffmpeg would squeeze the range unasked.
        stream = stream.filter("scale", in_range="full", out_range="full")
    run_ffmpeg(
        stream.output(
            str(target),
            fps_mode="passthrough",
            enc_time_base="{}/{}".format(*film.time_base),
            avoid_negative_ts="disabled",
            video_track_timescale=ticks,
            movie_timescale=MOVIE_TIMESCALE,
            **encoder,
        ),
        seconds=max(_LEAST_SECONDS, _SECONDS_PER_SECOND * film.duration),
    )
    return target


def _encoder(film: Film) -> dict[str, str | int]:
    is_even = film.width % 2 == 0 and film.height % 2 == 0
    if film.pixel_format in _X264_FORMATS and is_even:
        return {
            "c:v": "libx264",
            "pix_fmt": film.pixel_format,
            "preset": "ultrafast",
            "qp": 0,
            "bf": 0,
            # Without, the worker would not know that there are fields to weave.
            **({"flags": "+ilme+ildct"} if film.interlaced else {}),
            # Objects begin at keyframes: one a second wastes little on either side.
            "g": max(1, round(film.frames_per_second)),
        }
    pixel_format = film.pixel_format.replace("yuvj", "yuv")
    return {"c:v": "ffv1", "pix_fmt": pixel_format, "level": 3, "g": 1}
