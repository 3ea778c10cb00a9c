"""Cutting and joining a film, without converting it, against ffmpeg's plain copies."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from apps.jobs import ledger, storage
from apps.jobs.models import Job
from apps.pipeline import leases
from apps.pipeline.chunk import chunk
from apps.pipeline.concat import concat
from apps.pipeline.leases import StageClaim
from apps.pipeline.tidy import tidy
from benchmarks import films, jobs
from benchmarks.films import ffmpeg
from benchmarks.parts import Bench
from benchmarks.row import Row, in_turns
from contract.frames import SegmentFrames
from contract.modes import StereoMode

SHOT = 20
"""Seconds; as long as segments are wanted."""


def measure(bench: Bench) -> Iterator[Row]:
    seconds, size, runs = (600, "1920x1080", 5)
    if bench.quick:
        seconds, size, runs = (40, "320x180", 1)
    film = bench.folder / "film.mp4"
    films.two_shots(film, seconds=seconds, shot=SHOT, size=size)
    bench.say(f"media: {seconds} s of {size}, {film.stat().st_size / 1e6:.0f} MB")
    figures = in_turns(partial(_ours, film), partial(_ffmpeg, film), runs)
    yield Row(
        "chunk and concat", "s", 2.0, "ffmpeg -c copy, split and concat", *figures
    )


def _ours(film: Path) -> float:
    """Seconds of both stages, as a worker does them."""
    job = jobs.create(film, StereoMode.HALF_SBS)
    ledger.start(job.pk)
    began = time.perf_counter()
    job = _claimed(job, Job.Status.CHUNKING)
    with leases.held(StageClaim(job)) as lease:
        ledger.finish_chunk(job, chunk(job, lease))
    seconds = time.perf_counter() - began
    _convert(job, film)
    began = time.perf_counter()
    job = _claimed(job, Job.Status.REASSEMBLING)
    with leases.held(StageClaim(job)) as lease:
        if wrong := concat(job, lease):
            raise RuntimeError(f"segments {wrong} could not be joined")
    ledger.finish_concat(job)
    seconds += time.perf_counter() - began
    tidy(job.pk)
    storage.result().delete(job.final_key)
    return seconds


def _claimed(job: Job, stage: Job.Status) -> Job:
    claimed = ledger.claim_stage(job.pk, stage)
    if not isinstance(claimed, Job):
        raise RuntimeError(f"{stage} of {job} could not be claimed: {claimed}")
    return claimed


def _convert(job: Job, film: Path) -> None:
    """Each segment becomes its own frames, encoded once for all runs: half SBS has
    pictures as large as the source's."""
    for index in range(Job.objects.get(pk=job.pk).total_segments or 0):
        segment = ledger.claim_segment(job.pk, index)
        if isinstance(segment, ledger.Refused):
            raise RuntimeError(f"segment {index} of {job} could not be claimed")
        made = _encoded(film, index, segment.get_frames())
        with storage.temporary_dir() as folder:
            copy = Path(shutil.copy(made, folder / "stereo.mp4"))
            storage.result().put(segment.stereo_key, copy)
        ledger.finish_segment(segment, seconds=0.0, version="copy")


def _encoded(film: Path, index: int, frames: SegmentFrames) -> Path:
    """The same file for every segment of the same shot and as many frames."""
    count = len(frames.core)
    path = film.with_name(f"segment-{index % 2}-{count}.mp4")
    if not path.exists():
        half = 0.5 / films.RATE
        start = float(frames.core_start * frames.seconds_per_tick) - half
        ffmpeg(
            *("-ss", str(max(0.0, start)), "-i", film, "-frames:v", str(count), "-an"),
            *("-vf", f"setpts=N/({films.RATE}*TB)", "-pix_fmt", "yuv420p"),
            *("-c:v", "libx264", "-preset", "veryfast", path),
        )
    return path


def _ffmpeg(film: Path) -> float:
    """Seconds that the rival takes for as many segments."""
    folder = film.parent / "ffmpeg"
    folder.mkdir()
    listing = folder / "list.txt"
    segment = ("-f", "segment", "-segment_time", str(SHOT), "-reset_timestamps", "1")
    joint = ("-f", "concat", "-safe", "0", "-i", listing, "-c", "copy")
    began = time.perf_counter()
    ffmpeg("-i", film, "-c", "copy", "-map", "0", *segment, folder / "%05d.mp4")
    parts = sorted(folder.glob("*.mp4"))
    listing.write_text("".join(f"file '{part}'\n" for part in parts))
    ffmpeg(*joint, "-map", "0", folder / "joined.mp4")
    seconds = time.perf_counter() - began
    shutil.rmtree(folder)
    return seconds
