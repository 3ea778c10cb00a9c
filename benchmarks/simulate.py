"""Many films through the real ledger, sweep and chords: `python -m benchmarks.simulate`.

PostgreSQL, Celery's workers, tasks, leases and result backend are the product's; nothing
is cut, converted or joined, and messages travel between processes of this machine. Each
number of films is one round, begun all at once, and rounds share the tables: what a
segment costs in the last round it costs beside all films before.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.parts import Bench, parts

if TYPE_CHECKING:
    from benchmarks.simulation.figures import Figures

SHARE = 0.05
"""Of all statements, that are looked at to count them."""
TELL_SECONDS = 15
HEAD = (
    "| films | segments in the tables before | s | segments/s | database s/segment "
    "| statements/segment | connections/segment | WAL kB/segment | table kB/segment "
    "| sweep s, median – most | sent again |\n|---|---|---|---|---|---|---|---|---|---|---|"
)


@dataclass(slots=True)
class Sweeps:
    seconds: list[float] = field(default_factory=list)
    found: int = 0
    """Things that were not as they should be: none of them was lost."""


@dataclass(frozen=True, slots=True)
class Round:
    films: int
    segments: int
    before: int
    seconds: float
    statements: float
    figures: Figures
    sweeps: Sweeps

    def as_line(self) -> str:
        of, swept = self.figures, self.sweeps.seconds
        cells = (
            f"{self.films}",
            f"{self.before}",
            f"{self.seconds:.0f}",
            f"{self.segments / self.seconds:.1f}",
            f"{of.seconds / self.segments:.4f}",
            f"{self.statements / self.segments:.1f}",
            f"{of.connections / self.segments:.2f}",
            f"{of.wal_bytes / self.segments / 1e3:.1f}",
            f"{of.bytes / self.segments / 1e3:.1f}",
            f"{median(swept):.2f} – {max(swept):.2f}",
            f"{self.sweeps.found}",
        )
        return f"| {' | '.join(cells)} |"


def main(arguments: list[str]) -> int:
    options = _options(arguments)
    with parts(quick=False) as bench:
        from benchmarks.simulation.fleet import fleet, prepare

        prepare(options.segments)
        lines = []
        with fleet(options.workers):
            for films in options.films:
                lines.append(_round(bench, films, options.segments).as_line())
                bench.say(lines[-1])
    print(HEAD, *lines, sep="\n")
    return 0


def _round(bench: Bench, films: int, segments: int) -> Round:
    from apps.jobs.models import Job, Segment
    from benchmarks.database import counted
    from benchmarks.simulation.figures import Figures

    sweeps = Sweeps()
    before, rows = Figures.now(), Segment.objects.count()
    began = time.monotonic()
    with counted(SHARE) as asked:
        _begin(films)
        _sweep_until_over(bench, sweeps)
        seconds = time.monotonic() - began
        statements = asked().statements
    _check(Job.objects.count(), films * segments + rows)
    return Round(
        films,
        films * segments,
        rows,
        seconds,
        statements,
        Figures.now().since(before),
        sweeps,
    )


def _begin(films: int) -> None:
    """All at once, as after an outage."""
    from apps.jobs import ledger
    from apps.jobs.accounts import administrator
    from apps.jobs.models import Job
    from apps.pipeline import messages

    owner = administrator()
    for number in range(films):
        job = Job(owner=owner, title=f"Film {number}", mode="sbs")
        ledger.create(job)
        ledger.start(job.pk)
        messages.send_stage(Job.objects.get(pk=job.pk))


def _sweep_until_over(bench: Bench, sweeps: Sweeps) -> None:
    from django.conf import settings

    from apps.jobs.models import ACTIVE, Job, Segment
    from apps.pipeline import sweep as sweeping

    # It asks SQS itself, and there is none.
    sweeping._LOOKS.pop("messages that the queue gave up", None)
    active = Job.objects.filter(status__in=ACTIVE)
    swept = told = time.monotonic()
    while active.exists():
        if time.monotonic() > swept + settings.SWEEP_SECONDS:
            swept = time.monotonic()
            found = sweeping.sweep()
            sweeps.seconds.append(time.monotonic() - swept)
            lost = {what: n for what, n in found.items() if n and "lost" in what}
            sweeps.found += sum(lost.values())
            if lost:
                bench.say(f"swept: {lost}")
        if time.monotonic() > told + TELL_SECONDS:
            told = time.monotonic()
            left = Segment.objects.exclude(status="done").count()
            bench.say(f"{active.count()} films, {left} segments left")
        time.sleep(0.5)
    began = time.monotonic()
    sweeping.sweep()  # a short round has none else
    sweeps.seconds.append(time.monotonic() - began)


def _check(jobs: int, segments: int) -> None:
    """Raises `RuntimeError` unless each job is completed and each segment was made once."""
    from django.db.models import Sum

    from apps.jobs.models import Job, Segment

    completed = Job.objects.filter(status=Job.Status.COMPLETED).count()
    attempts = Segment.objects.aggregate(all=Sum("attempt"))["all"]
    if (completed, attempts) != (jobs, segments):
        raise RuntimeError(
            f"{completed} of {jobs} jobs are completed, by {attempts} attempts at "
            f"{segments} segments"
        )


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.simulate", description=__doc__
    )
    parser.add_argument("--films", nargs="+", type=int, default=[100, 300, 1000])
    parser.add_argument("--segments", type=int, default=100, help="of each film")
    parser.add_argument("--workers", type=int, default=2, help="that convert")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
