"""How long an engine takes, by what it lately did here; else by our own estimate."""

from __future__ import annotations

import statistics
from collections import defaultdict
from dataclasses import dataclass

from apps.jobs.models import Segment
from contract.frames import Picture
from contract.modes import Engine

LATELY = 300
"""Segments, of all engines together, the last that were done."""
LEAST_MEASURED = 5
HD_MINUTE = 1920 * 1080 * 24 * 60 / 1e6
"""Megapixels of one eye in a minute of HD film."""


@dataclass(frozen=True, slots=True)
class Speed:
    seconds: float
    """That one worker needs for a minute of HD film."""
    is_measured: bool


def speeds() -> dict[Engine, Speed]:
    """Of every engine, in one query of few rows."""
    measured = _measured()
    return {
        engine: Speed(HD_MINUTE * statistics.median(found), is_measured=True)
        if len(found := measured[engine]) >= LEAST_MEASURED
        else Speed(HD_MINUTE * engine.seconds_per_megapixel, is_measured=False)
        for engine in Engine
    }


def _measured() -> dict[str, list[float]]:
    """Seconds for a megapixel, of each segment lately done."""
    done = Segment.objects.filter(finished_at__isnull=False).order_by("-finished_at")
    columns = ("job__engine", "seconds", "frame_count", "job__picture")
    measured: dict[str, list[float]] = defaultdict(list)
    for engine, seconds, frames, picture in done.values_list(*columns)[:LATELY]:
        if seconds is not None and picture is not None:
            eye = Picture.model_validate(picture)
            megapixels = frames * eye.eye_width * eye.eye_height / 1e6
            measured[engine].append(seconds / megapixels)
    return measured
