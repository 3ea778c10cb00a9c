"""How long a film will still take, and what it has cost, by the ledger's own history.

    estimates.remaining(job, segments)                 of a film that is being converted
    estimates.before(engine, picture, frames, ...)     of one that is not begun
    estimates.expected(engine)                         of a minute of any film
    estimates.clip(prompt), estimates.expected_clip()  of what is made of a prompt
    estimates.wait_for_gpu()                           until a first segment is begun
    estimates.gpu_seconds(job), estimates.cost(job)    of what was converted

A pace is the seconds of a megapixel of one frame, as recent segments of the same engine
took them: of pictures of about this size where there are enough, else of any. What is said
is a range: the median, give or take what half of them are off it.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings
from django.db.models import Q, Sum

from apps.jobs.models import Invocation, Job, Segment
from contract.frames import Picture
from contract.generation import ClipWish, Generated
from contract.modes import Engine
from contract.origins import ORIGIN, Prompt
from stereospot.machine import has_card

HD = Picture(eye_width=1920, eye_height=1080)
MINUTE = 24 * 60
"""Frames."""
LATELY = 200
"""Segments of an engine, the last that were done."""
LEAST_OF_OWN, LEAST_OF_OTHERS = 3, 5
"""So many segments, of the film or of the engine, say something about the next."""
AUTHORS_SECONDS = 540.0
"""Of a clip of 5 s at 1280 × 704 on an RTX 4090, by the model card of Wan 2.2 TI2V-5B."""
WAITS, LEAST_WAITS = 30, 3
"""Films, the last, whose first segment was begun; so many of them must have waited."""
NOTICED = 30.0
"""Seconds: who waits no longer found a GPU that was free."""
ALIKE = 2.0
"""Pictures whose areas differ by no more than this factor are of a size."""


@dataclass(frozen=True, slots=True)
class Range:
    """Seconds."""

    low: float
    high: float

    def times(self, factor: float) -> Range:
        return Range(self.low * factor, self.high * factor)

    def until(self, seconds: float | None) -> Range:
        """No later than what was promised before, as long as that can be kept."""
        if seconds is None or seconds <= self.low or seconds >= self.high:
            return self
        return Range(self.low, seconds)


@dataclass(frozen=True, slots=True)
class Expected:
    """What an engine takes here for a minute of HD film, of one worker; or a usual clip."""

    measured: Range | None
    ours: float
    """Seconds, by our own estimate: for where nothing was measured yet."""
    lacks_card: bool
    """This machine converts, and has no graphics card that the engine cannot do without."""

    @property
    def range(self) -> Range:
        return self.measured or Range(self.ours, self.ours)


def expected(engine: Engine) -> Expected:
    return Expected(
        measured=before(engine, HD, MINUTE, workers=1),
        ours=engine.seconds_per_megapixel * megapixels(HD) * MINUTE,
        lacks_card=engine is Engine.STEREOCRAFTER
        and settings.CONVERTS_HERE
        and not has_card(),
    )


def clip(prompt: Prompt) -> Range | None:
    """To make it, by the last clips that were made here; None before there are some."""
    made = Job.objects.filter(clip__isnull=False).order_by("-created_at")
    paces = []
    for origin, facts in made.values_list("origin", "clip")[:LATELY]:
        done = ORIGIN.validate_python(origin)
        if isinstance(done, Prompt):
            paces.append(Generated.model_validate(facts).seconds / _work(done))
    if len(paces) < LEAST_OF_OWN:
        return None
    return _spread(paces).times(_work(prompt))


def expected_clip() -> Expected:
    usual = Prompt.of(ClipWish(prompt="any"))
    return Expected(
        measured=clip(usual),
        ours=AUTHORS_SECONDS,
        lacks_card=settings.CONVERTS_HERE and not has_card(),
    )


def _work(prompt: Prompt) -> float:
    """What a clip's time goes by, as segments' by frames and pixels."""
    return prompt.wish.steps * prompt.frames * prompt.width * prompt.height / 1e6


def remaining(job: Job, segments: Sequence[Segment]) -> Range | None:
    """Until the segments are converted, if as many go on at once as now; None when that
    cannot be said."""
    running = sum(s.status == Segment.Status.RUNNING for s in segments)
    if not running or job.picture is None:
        return None
    left = [s for s in segments if s.status != Segment.Status.DONE]
    frames = sum(s.frame_count - min(s.frames_done, s.frame_count) for s in left)
    own = [s.seconds / s.frame_count for s in segments if s.seconds is not None]
    if len(own) >= LEAST_OF_OWN:
        return _spread(own).times(frames / running)
    size = megapixels(Picture.model_validate(job.picture))
    pace = _pace(job.engine, size, reference=job.reference)
    return pace and pace.times(frames * size / running)


def before(
    engine: str, picture: Picture, frames: int, *, workers: int, reference: bool = False
) -> Range | None:
    """To convert so many frames with so many workers, none of whom does something else;
    None before the engine has been used here."""
    size = megapixels(picture)
    pace = _pace(engine, size, reference=reference)
    return pace and pace.times(frames * size / max(1, workers))


def megapixels(picture: Picture) -> float:
    """Of one eye."""
    return picture.eye_width * picture.eye_height / 1e6


def wait_for_gpu() -> float | None:
    """Seconds that a film lately waited for a GPU where none was free; None before that
    can be said."""
    first = Q(segment_index=0) | Q(segment_index=None)
    begun = Invocation.objects.filter(
        first, begun_at__isnull=False, backend=settings.INFERENCE_BACKEND
    ).order_by("-id")
    pairs = begun.values_list("opened_at", "begun_at")[:WAITS]
    waits = [(begun - opened).total_seconds() for opened, begun in pairs if begun]
    long = [seconds for seconds in waits if seconds >= NOTICED]
    return statistics.median(long) if len(long) >= LEAST_WAITS else None


def gpu_seconds(job: Job) -> float:
    """Wall time of the attempts that succeeded, together."""
    clip = Generated.model_validate(job.clip).seconds if job.clip else 0.0
    return clip + float(job.segments.aggregate(sum=Sum("seconds"))["sum"] or 0.0)


def cost(job: Job) -> float | None:
    """Of those, in the currency of `GPU_HOUR_PRICE`; None where no price is known."""
    price = settings.GPU_HOUR_PRICE
    return None if price is None else gpu_seconds(job) / 3600 * price


def _pace(engine: str, wanted: float, *, reference: bool) -> Range | None:
    done = Segment.objects.filter(
        finished_at__isnull=False,
        job__engine=engine,
        job__reference=reference,
        job__picture__isnull=False,
    ).order_by("-finished_at")
    columns = ("seconds", "frame_count", "job__picture")
    paces, alike = [], []
    for seconds, frames, picture in done.values_list(*columns)[:LATELY]:
        size = megapixels(Picture.model_validate(picture))
        paces.append((seconds or 0.0) / (frames * size))
        if 1 / ALIKE <= size / wanted <= ALIKE:
            alike.append(paces[-1])
    chosen = alike if len(alike) >= LEAST_OF_OTHERS else paces
    return _spread(chosen) if len(chosen) >= LEAST_OF_OTHERS else None


def _spread(found: Sequence[float]) -> Range:
    """The median, and how far from it half of them are: one that was slow for a reason
    of its own changes nothing."""
    middle = statistics.median(found)
    off = statistics.median(abs(pace - middle) for pace in found)
    return Range(middle - off, middle + off)
