"""What must hold after a run, whatever was done to it.

lost      a film that should be there is not, or is not the source's, frame by frame
doubled   a fact was recorded twice, or work that was done was done again: a segment was
          given to the engine again although it was done, or nothing had happened to its
          attempt; a final was joined again although nothing had happened to the first;
          or there were more calls of the engine than all of that accounts for
stuck     a job is not over, or its work is not where it should be
orphan    an object or a temporary file that nobody will delete any more
message   one in a queue after all work is done, one that a chord has never sent, or a
          dead one of which too few deliveries were harmed
ledger    rows that contradict each other
worker    a process that died of itself, or a mechanism that never worked

`calls`, `deliveries` and `mechanisms` have the checks of the journal; the rest is here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import av
from django.conf import settings

from apps.jobs import storage
from apps.jobs.models import Event, Job, Segment
from apps.pipeline.models import Chord
from contract.errors import Blame, ErrorCode
from contract.keys import (
    DepthKey,
    DepthSegmentKey,
    FinalKey,
    SegmentKey,
    SourceKey,
    StereoSegmentKey,
)
from tests.chaos.films import shade
from tests.chaos.journal import Entry
from tests.chaos.violations import Violation
from tests.path.films import facts

SHADE_TOLERANCE = 3
"""Luma levels by which encoding may change a flat picture."""


@dataclass(frozen=True)
class Expected:
    job_id: UUID
    source: Path
    status: str
    """completed, failed, cancelled or deleted."""
    segments: int


def stuck(expected: Iterable[Expected]) -> Iterator[Violation]:
    """Jobs that are not over yet."""
    rows = {job.pk: job for job in Job.objects.all()}
    for wanted in expected:
        job = rows.get(wanted.job_id)
        if wanted.status == "deleted":
            if job is not None:
                yield Violation("stuck", str(job.pk), f"is not gone: {_row(job)}")
        elif job is not None and not job.is_over:
            yield Violation("stuck", str(job.pk), _row(job))


def lost(expected: Iterable[Expected]) -> Iterator[Violation]:
    """Films that should be there, and what came out of those that are."""
    rows = {job.pk: job for job in Job.objects.all()}
    for wanted in expected:
        job = rows.get(wanted.job_id)
        if wanted.status == "deleted":
            continue
        if job is None:
            yield Violation("lost", str(wanted.job_id), "has no row any more")
        elif job.is_over and job.status != wanted.status:
            what = f"is {job.status}, not {wanted.status}: {job.error_message}"
            yield Violation("lost", str(job.pk), what)
        elif job.status == "failed" and ErrorCode(job.error_code).blame != Blame.USER:
            what = f"failed, but not of its source: {job.error_message}"
            yield Violation("lost", str(job.pk), what)
        elif job.status == "completed" and (fault := _fault(job, wanted)):
            yield Violation("lost", str(job.pk), fault)


def _fault(job: Job, wanted: Expected) -> str:
    if job.total_segments != wanted.segments:
        return f"was cut into {job.total_segments} segments, not {wanted.segments}"
    final = Path(storage.result().path(job.final_key))
    if not final.exists():
        return "has no final"
    came_in, came_out = facts(wanted.source), facts(final)
    if came_out.times != came_in.times:
        return (
            f"has {len(came_out.times)} frames for {len(came_in.times)}, or late ones"
        )
    if came_out.sound != came_in.sound:
        return "does not sound like its source"
    counts = job.segments.order_by("index").values_list("index", "frame_count")
    greys = [shade(str(job.pk), i) for i, frames in counts for _ in range(frames)]
    shown = list(_shades(final))
    if len(shown) != len(greys):
        return f"shows {len(shown)} of {len(greys)} frames"
    for number, (grey, seen) in enumerate(zip(greys, shown, strict=True)):
        if abs(grey - seen) > SHADE_TOLERANCE:
            return f"shows another segment at frame {number}"
    return ""


def _shades(film: Path) -> Iterator[float]:
    with av.open(str(film)) as container:
        for frame in container.decode(video=0):
            yield float(frame.to_ndarray()[: frame.height].mean())


ORDER = {
    "started": ("new", "chunking"),
    "chunked": ("chunking", "converting"),
    "converted": ("converting", "joining"),
    "completed": ("joining", "over"),
}


def contradictions() -> Iterator[Violation]:
    """Facts in another order than work is done, or twice."""
    events: dict[UUID, list[str]] = defaultdict(list)
    for job_id, kind in Event.objects.order_by("id").values_list("job_id", "kind"):
        events[job_id].append(kind)
    for job_id, kinds in events.items():
        stage = "new"
        for kind in kinds:
            if kind == "retried":
                stage = "anywhere"
            elif kind in ORDER:
                wanted, after = ORDER[kind]
                if stage not in (wanted, "anywhere"):
                    again = kinds.count(kind) > 1 + kinds.count("retried")
                    what = f"{kind} when {stage}: {', '.join(kinds)}"
                    yield Violation("doubled" if again else "ledger", str(job_id), what)
                stage = after
    yield from _unfinished_rows()


def _unfinished_rows() -> Iterator[Violation]:
    finished = Job.objects.filter(status="completed")
    for segment in Segment.objects.filter(job__in=finished).exclude(status="done"):
        what = f"is completed without segment {segment.index} ({segment.status})"
        yield Violation("ledger", str(segment.job_id), what)
    for segment in Segment.objects.filter(status="running", job__in=finished):
        yield Violation("ledger", str(segment.job_id), f"runs {segment.index} still")


def orphans() -> Iterator[Violation]:
    """Objects that the state of their job does not call for."""
    jobs = {str(job.pk): job for job in Job.objects.all()}
    for store in (storage.source(), storage.result()):
        root = Path(store.location)
        for path in root.rglob("*"):
            if path.is_dir():
                continue
            key = path.relative_to(root).as_posix()
            if not _is_wanted(key, jobs):
                job = key.split("/")[1] if "/" in key else ""
                status = jobs[job].status if job in jobs else "unknown"
                yield Violation("orphan", job, f"{key} of a job that is {status}")


def _is_wanted(key: str, jobs: dict[str, Job]) -> bool:
    inputs = (SourceKey, DepthKey, SegmentKey, DepthSegmentKey)
    parsers = (*inputs, StereoSegmentKey, FinalKey)
    found = next((found for p in parsers if (found := p.parse(key))), None)
    job = jobs.get(str(found.job_id)) if found else None
    if found is None or job is None or job.status == "deleted":
        return False
    match found:
        case SourceKey() | DepthKey():
            return True
        case FinalKey():
            return job.status == "completed" and key == job.final_key
        case _:
            # *Retry* goes on from the segments of a failed job.
            return job.status not in ("completed", "cancelled")


def temporary_files() -> Iterator[Violation]:
    for path in settings.TEMPORARY_DIR.iterdir():
        yield Violation("orphan", "", f"temporary {path.name}")


def dead_workers(entries: Iterable[Entry]) -> Iterator[Violation]:
    for entry in entries:
        if entry.what == "died":
            yield Violation("worker", "", entry.detail)


def messages_left(waiting: dict[str, int]) -> Iterator[Violation]:
    """`waiting`: messages in each queue, those in flight and delayed among them."""
    for queue, count in waiting.items():
        if count:
            yield Violation("message", "", f"{count} left in the queue {queue}")


def unsent_callbacks() -> Iterator[Violation]:
    for chord in Chord.objects.filter(state=Chord.State.READY):
        yield Violation("message", "", f"nobody sent the callback of {chord}")


def _row(job: Job) -> str:
    fields = ("status", "attempt", "failures", "lease_expires_at", "notify_at")
    row = ", ".join(f"{field}={getattr(job, field)}" for field in fields)
    segments = job.segments.exclude(status="done").values_list(
        "index", "status", "attempt", "failures", "lease_expires_at", "notify_at"
    )
    kinds = ", ".join(job.events.values_list("kind", flat=True)[:30])
    return f"{row}; segments not done: {list(segments[:5])}; events: {kinds}"
