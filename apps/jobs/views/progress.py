"""A job's rows in the ledger, as its page shows them. Reads only, in three queries, or four."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import QuerySet

from apps.jobs.estimates import Range, remaining, wait_for_gpu
from apps.jobs.models import Event, Job, Segment
from apps.jobs.rows import (
    FOR_GPU,
    QUEUED,
    State,
    clips_waiting,
    state_of,
    waiting_for_gpu,
)
from apps.jobs.templatetags.words import between, roughly

MOST_CELLS = 300
"""Beyond, one cell of the strip stands for a range of segments."""
_COLUMNS = (
    *("job", "index", "status", "attempt", "seconds"),
    *("frame_count", "frames_done"),
)
MOST_EVENTS = 200
"""Newest lines of the log that are shown."""

_STEPS = ("Cut", "Convert", "Join", "Done")
"""After the film has come: by an upload, fetched from elsewhere, or made of a prompt."""
_ENDS = {"Cut": "chunked", "Convert": "converted", "Join": "completed"}
"""The event that ends a step."""
_ARRIVED = {"Fetch": "ingested", "Generate": "generated"}
"""Likewise, where nobody brings the film."""
SEGMENT_WORDS = {
    "failed": "failed",
    "running": "converting",
    "waiting": "waiting for a GPU",
    "pending": "queued",
    "done": "done",
}
"""Of each state that a segment is in, as people see it. Those are shown first of a range
of segments that people must know first: their order is that."""
_SHOWN_FIRST = tuple(SEGMENT_WORDS)


@dataclass(frozen=True, slots=True)
class Step:
    name: str
    state: str
    """`done`, `current`, `stopped` (by a failure or the person) or `todo`."""
    detail: str = ""
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Cell:
    first: int
    last: int
    """Counted from 1, as people do."""
    status: str

    @property
    def label(self) -> str:
        state = SEGMENT_WORDS[self.status]
        if self.first == self.last:
            return f"Segment {self.first}: {state}"
        return f"Segments {self.first} to {self.last}: {state}"


@dataclass(frozen=True, slots=True)
class Progress:
    state: State
    sentence: str
    announcement: str
    """The sentence for who listens to the page: it changes ten times at most."""
    title: str
    steps: list[Step]
    cells: list[Cell]
    failed: Segment | None
    is_converting: bool
    estimate: Range | None
    """Seconds until the segments are converted; None before that can be said."""
    usual_wait: float | None
    """Seconds, while it waits for a GPU and where that can be said."""
    events: list[Event]

    @property
    def mark(self) -> str:
        """Another one when the page has something else to show."""
        shown = (
            self.sentence,
            self.title,
            self.steps,
            self.cells,
            self.estimate and between(self.estimate),
            self.usual_wait and roughly(self.usual_wait),
            self.events and self.events[0].pk,
        )
        return hashlib.sha256(repr(shown).encode()).hexdigest()[:16]

    @classmethod
    def of(cls, job: Job, *, by: float | None = None) -> Progress:
        """`by`: seconds from now, by which the page that asks was told it will be done."""
        # Not their manifests, which are long.
        rows = job.segments.only(*_COLUMNS)
        segments = list(with_waits(rows).order_by("index"))
        milestones = list(job.events.exclude(kind="attempt-failed").order_by("-id"))
        counts = Counter(segment.status for segment in segments)
        waiting = Counter(segment.status for segment in segments if _waits(segment))
        state = state_of(
            job,
            converting=counts["running"] - waiting["running"],
            waiting=waiting.total() or len(clips_waiting([job])),
        )
        done, total = counts["done"], job.total_segments or 0
        left = remaining(job, segments) if _is_converting(job, counts) else None
        return cls(
            state=state,
            sentence=_sentence(job, state, done),
            announcement=_sentence(job, state, _tenth(done, total)),
            title=_title(job, state, done),
            steps=_steps(job, counts, milestones),
            cells=_cells(segments),
            failed=next((s for s in segments if s.status == "failed"), None),
            is_converting=_is_converting(job, counts) and state != FOR_GPU,
            estimate=left.until(by) if left and state != FOR_GPU else None,
            usual_wait=wait_for_gpu() if state == FOR_GPU else None,
            events=list(job.events.order_by("-id")[:MOST_EVENTS]),
        )


def with_waits(segments: QuerySet[Segment]) -> QuerySet[Segment]:
    """With `waits`: a worker has asked for a GPU and was not given one yet."""
    return segments.annotate(waits=waiting_for_gpu())


def shown_state(segment: Segment) -> str:
    """One of `SEGMENT_WORDS`; needs `with_waits`."""
    is_asked_for = segment.status == Segment.Status.RUNNING and _waits(segment)
    return "waiting" if is_asked_for else segment.status


def _waits(segment: Segment) -> bool:
    return bool(getattr(segment, "waits", False))


def _sentence(job: Job, state: State, done: int) -> str:
    if job.status == Job.Status.CHUNKED:
        return f"{state.words}, {done} of {job.total_segments} segments done."
    if state == QUEUED:
        return "Queued: no worker has it yet."
    if job.status == Job.Status.REASSEMBLING:
        return "Joining the segments."
    return f"{state.words}."


def _tenth(done: int, total: int) -> int:
    step = max(1, math.ceil(total / 10))
    return done - done % step


def _title(job: Job, state: State, done: int) -> str:
    words = state.words
    if job.status == Job.Status.CHUNKED:
        words = f"{100 * done // max(1, job.total_segments or 0)} %"
        if state.key != job.status:
            words += f", {SEGMENT_WORDS[state.key]}"
    return f"{words} · {job.title} · StereoSpot"


def _steps(job: Job, counts: Counter[str], milestones: Sequence[Event]) -> list[Step]:
    present = _present(job, counts, milestones)
    durations = _durations(job, milestones)
    steps = []
    for position, name in enumerate(_names(job)):
        state = "done" if position < present else "todo"
        if position == present:
            state = "stopped" if job.is_over else "current"
        detail = ""
        if name == "Convert" and job.total_segments and state != "todo":
            detail = f"{counts['done']}/{job.total_segments}"
        steps.append(Step(name, state, detail, durations.get(name)))
    return steps


def _names(job: Job) -> tuple[str, ...]:
    return (_arrival(job), "Done") if job.is_flat else (_arrival(job), *_STEPS)


def _arrival(job: Job) -> str:
    if job.origin is None:
        return "Upload"
    return "Generate" if job.get_prompt() else "Fetch"


def _present(job: Job, counts: Counter[str], milestones: Sequence[Event]) -> int:
    """Position of the step in which the job is, or in which it was stopped."""
    if job.status == Job.Status.COMPLETED:
        return len(_names(job))
    has_come = any(event.kind in _ARRIVED.values() for event in milestones)
    if job.started_at is None or not (job.origin is None or has_come):
        return 0
    if not counts:
        return 1
    return 3 if counts["done"] == counts.total() else 2


def _durations(job: Job, milestones: Sequence[Event]) -> dict[str, float]:
    """Seconds from the end of the step before; time spent failed does not count."""
    durations: dict[str, float] = {}
    begun = job.started_at
    retries = [event.at for event in milestones if event.kind == "retried"]
    arrival = _arrival(job)
    arrived = {arrival: _ARRIVED[arrival]} if job.origin else {}
    ends = arrived | _ENDS
    for name, kind in ends.items():
        ended = next((event.at for event in milestones if event.kind == kind), None)
        if begun is None or ended is None:
            break
        resumed: list[datetime] = [at for at in retries if begun < at < ended]
        durations[name] = (ended - max([begun, *resumed])).total_seconds()
        begun = ended
    return durations


def _cells(segments: Sequence[Segment]) -> list[Cell]:
    size = math.ceil(len(segments) / MOST_CELLS) or 1
    ranges = [segments[at : at + size] for at in range(0, len(segments), size)]
    return [
        Cell(
            first=group[0].index + 1,
            last=group[-1].index + 1,
            status=min(map(shown_state, group), key=_SHOWN_FIRST.index),
        )
        for group in ranges
    ]


def _is_converting(job: Job, counts: Counter[str]) -> bool:
    return job.status == Job.Status.CHUNKED and counts["running"] > 0
