"""A film through the workers of one machine, against its frames in one process."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch

from apps.pipeline.media.prepare import Wishes, prepare, split_prepared
from apps.pipeline.media.probe import Limits, probe
from benchmarks import films, jobs
from benchmarks.parts import Bench, working
from benchmarks.row import Row, in_turns
from contract.frames import Picture, SegmentFrames
from contract.invocation import Conversion
from contract.modes import Engine, StereoMode, StereoSettings
from contract.pictures import picture_for
from inference.convert import convert
from inference.engines import pipeline_for

SEGMENT = 10
"""Seconds."""
SHOT = 8
WHOLE = 1e6
"""Seconds; no film here is longer."""


def measure(bench: Bench) -> Iterator[Row]:
    seconds, size, runs = (1, "64x36", 1) if bench.quick else (40, "480x270", 3)
    film, short = bench.folder / "film.mp4", bench.folder / "short.mp4"
    films.two_shots(film, seconds=seconds, shot=min(SHOT, seconds), size=size)
    films.two_shots(short, seconds=1, shot=1, size=size)
    threads = _best_threads(short)
    bench.say(f"whole: {seconds} s of {size}; the one process has {threads} threads")
    workers = jobs.own_workers("stereospot", segment_seconds=SEGMENT)
    with working(bench, *workers):
        jobs.converted(bench, short)  # the workers have loaded what they need then
        figures = in_turns(
            partial(_ours, bench, film), partial(_one_process, film, threads), runs
        )
    yield Row(
        "end to end with preview", "s", 1.1, "the engine in one process", *figures
    )


def _ours(bench: Bench, film: Path) -> float:
    return jobs.seconds_of(jobs.converted(bench, film))


def _best_threads(film: Path) -> int:
    """Of one, as in our workers, and one a core."""
    found = {
        threads: _one_process(film, threads) for threads in (1, os.cpu_count() or 1)
    }
    return min(found, key=lambda threads: found[threads])


def _one_process(film: Path, threads: int) -> float:
    """Seconds to convert all of its frames, without its sound, in this process."""
    torch.set_num_threads(threads)
    folder = film.parent / "alone"
    folder.mkdir(exist_ok=True)
    began = time.perf_counter()
    conversion, source = _conversion(film, folder)
    convert(
        conversion,
        source,
        folder / "stereo.mp4",
        pipeline=pipeline_for(conversion.engine),
        on_frames=lambda count: None,
    )
    return time.perf_counter() - began


def _conversion(film: Path, folder: Path) -> tuple[Conversion, Path]:
    """Of the film as a single segment, and that segment's object."""
    facts = probe(film, Limits())
    wishes = Wishes(target_seconds=WHOLE, look_for_cuts=False)
    ((_, source, frames),) = split_prepared(
        prepare(film, facts, folder, wishes), folder
    )
    return _wanted(frames, picture_for(facts, StereoMode.SBS)), source


def _wanted(frames: SegmentFrames, picture: Picture) -> Conversion:
    return Conversion(
        mode=StereoMode.SBS,
        engine=Engine.PREVIEW,
        settings=StereoSettings(),
        frames=frames,
        picture=picture,
    )
