"""What one segment more costs in a long film, against one more in a short one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from benchmarks import films, jobs
from benchmarks.database import Asked, counted
from benchmarks.parts import Bench
from benchmarks.row import Row


class Cost(NamedTuple):
    """Of a job of so many segments."""

    asked: Asked
    seconds: float
    """To convert all of them."""


def grown(bench: Bench) -> Iterator[Row]:
    """Where workers live whose engine does nothing."""
    sizes, runs = ((1, 2, 4), 1) if bench.quick else ((10, 100, 1000), 2)
    made = {size: films.slides(bench.folder / f"{size}.mp4", size) for size in sizes}
    costs = []
    for number in range(runs):
        order = sizes if number % 2 == 0 else sizes[::-1]
        found = {size: _cost(bench, made[size]) for size in order}
        costs.append([found[size] for size in sizes])
    yield _statements(sizes, costs)
    yield _seconds(sizes, costs)


def _cost(bench: Bench, film: Path) -> Cost:
    bench.say(f"growth: {film.stem} segments")
    with counted() as asked:
        job = jobs.converted(bench, film)
        if str(job.total_segments) != film.stem:
            raise RuntimeError(f"{film.stem} became {job.total_segments} segments")
        return Cost(asked(), jobs.seconds_between(job, "chunked", "converted"))


def _statements(sizes: tuple[int, ...], costs: list[list[Cost]]) -> Row:
    """What the whole job asks, without what it asks once."""
    small, middle, large = sizes
    asked = [[cost.asked.statements for cost in run] for run in costs]
    many = [(last - mid) / (large - middle) for _, mid, last in asked]
    few = [(mid - first) / (middle - small) for first, mid, _ in asked]
    name = f"SQL statements per segment, from {middle} to {large}"
    return Row(name, "", 1.05, f"from {small} to {middle}", many, few)


def _seconds(sizes: tuple[int, ...], costs: list[list[Cost]]) -> Row:
    small, _, large = sizes
    long = [1e3 * run[-1].seconds / large for run in costs]
    short = [1e3 * run[0].seconds / small for run in costs]
    name = f"time per segment, job of {large}"
    return Row(name, "ms", 1.1, f"job of {small}", long, short)
