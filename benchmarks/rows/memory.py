"""The most memory that a process of a worker has, for a film and for one ten times as long."""

from __future__ import annotations

import contextlib
import os
import threading
from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Self

from benchmarks import films, jobs
from benchmarks.parts import Bench, working
from benchmarks.row import Row, in_turns

TIMES = 10
LOOK = 0.05
"""Seconds between two looks at all processes."""


def measure(bench: Bench) -> Iterator[Row]:
    seconds, size, runs = (2, "64x36", 1) if bench.quick else (30, "320x180", 2)
    if not list(Path("/proc/self/task").glob("*/children")):
        for queue in jobs.OWN:
            yield _row(queue, why_not="no Linux")
        return
    short = films.two_shots(
        bench.folder / "short.mp4", seconds=seconds, shot=seconds // 2, size=size
    )
    long = films.two_shots(
        bench.folder / "long.mp4",
        seconds=TIMES * seconds,
        shot=seconds // 2,
        size=size,
    )
    bench.say(f"memory: {seconds} and {TIMES * seconds} s of {size}")
    ours, rival = in_turns(
        partial(_peaks, bench, long, seconds),
        partial(_peaks, bench, short, seconds),
        runs,
    )
    for queue in jobs.OWN:
        yield _row(
            queue, [peak[queue] for peak in ours], [peak[queue] for peak in rival]
        )


def _row(
    queue: str,
    ours: list[float] | None = None,
    rival: list[float] | None = None,
    why_not: str = "",
) -> Row:
    name = f"memory of a {queue} worker, film × {TIMES}"
    return Row(name, "MB", 1.1, "the film", ours or (), rival or (), why_not)


def _peaks(bench: Bench, film: Path, seconds: int) -> dict[str, float]:
    """By queue, in MB, of workers that have done nothing before."""
    workers = jobs.own_workers("stereospot", segment_seconds=max(1, seconds // 2))
    with working(bench, *workers), Watch() as watch:
        jobs.converted(bench, film)
    return watch.peaks


class Watch:
    """Context manager: looks at the workers of this process, and what they have begun."""

    def __init__(self) -> None:
        self.peaks: dict[str, float] = defaultdict(float)
        """In MB, of the largest process, by queue."""
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        queues: dict[int, str] = {}
        while not self._over.wait(LOOK):
            for worker in _children(os.getpid()):
                # Empty until it has become a program of its own.
                queues[worker] = queue = queues.get(worker) or _queue(worker)
                if queue:
                    most = max(map(_most, _family(worker)))
                    self.peaks[queue] = max(self.peaks[queue], most)


def _family(pid: int) -> Iterator[int]:
    yield pid
    for child in _children(pid):
        yield from _family(child)


def _children(pid: int) -> list[int]:
    """Not psutil's way, which looks at every process of the machine each time."""
    found: list[int] = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):  # it ended just now
            found += map(int, path.read_text().split())
    return found


def _queue(pid: int) -> str:
    """Of a worker; empty for what is none."""
    with contextlib.suppress(OSError):
        command = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
        if "-Q" in command:
            return command[command.index("-Q") + 1]
    return ""


def _most(pid: int) -> float:
    """MB that a process has had at most; 0 if it is gone."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    return 0.0
