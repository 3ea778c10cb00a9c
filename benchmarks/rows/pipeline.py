"""The way of a film that costs nothing to convert, against Celery's own canvas of no-ops."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from celery import Celery

from benchmarks import bare, films, jobs
from benchmarks.parts import Bench, Worker, working
from benchmarks.row import Row, in_turns
from benchmarks.rows.growth import grown
from benchmarks.sqs import COUNTED

RIVALS = {bare.STOCK: "stock Celery on SQS", bare.OURS: "Celery on our transport"}


class Taken(NamedTuple):
    """By one film, for each of its segments."""

    calls: float
    seconds: float
    """From the chord's begin to its body."""


def measure(bench: Bench) -> Iterator[Row]:
    with working(bench, *jobs.own_workers("benchmarks.noop", segment_seconds=1)):
        with working(bench, *map(_rival_worker, RIVALS)):
            for transport in RIVALS:
                yield from _against(bench, transport)
        yield from grown(bench)


def _rival_worker(transport: str) -> Worker:
    queue = bare.queue_of(transport)
    return Worker("benchmarks.bare", queue, {bare.VARIABLE: transport})


def _against(bench: Bench, transport: str) -> Iterator[Row]:
    segments, runs = (3, 1) if bench.quick else (100, 5)
    bench.say(f"pipeline: {segments} segments, against {RIVALS[transport]}")
    film = films.slides(bench.folder / "slides.mp4", segments)
    app, queue = bare.make(transport), bare.queue_of(transport)
    ours = partial(_ours, bench, film, segments)
    rival = partial(_rival, bench, app, queue, segments)
    if not bench.quick:
        in_turns(ours, rival, 1)  # processes start, connections are made
    yield from _rows(RIVALS[transport], *in_turns(ours, rival, runs))


def _rows(name: str, ours: list[Taken], rival: list[Taken]) -> Iterator[Row]:
    if name == RIVALS[bare.STOCK]:
        calls = [taken.calls for taken in ours], [taken.calls for taken in rival]
        yield Row("SQS calls per segment", "", 0.5, name, *calls)
    seconds = [1e3 * t.seconds for t in ours], [1e3 * t.seconds for t in rival]
    yield Row("overhead per segment", "ms", 1.2, f"a chord of {name}", *seconds)


def _ours(bench: Bench, film: Path, segments: int) -> Taken:
    before = _calls(bench, *jobs.OWN_AT_SQS)
    job = jobs.converted(bench, film)
    calls = _calls(bench, *jobs.OWN_AT_SQS) - before
    return Taken(
        calls / segments, jobs.seconds_between(job, "chunked", "converted") / segments
    )


def _rival(bench: Bench, app: Celery, queue: str, segments: int) -> Taken:
    before = _calls(bench, queue)
    seconds = bare.run(app, segments)
    bench.until(lambda: jobs.is_settled(queue))
    return Taken((_calls(bench, queue) - before) / segments, seconds / segments)


def _calls(bench: Bench, *names: str) -> int:
    counts: Counter[str] = bench.sqs.calls(*names)
    return sum(counts[operation] for operation in COUNTED)
