"""Workers of the simulation: Celery's own, with tasks that have nothing to do to a film."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
from collections.abc import Collection, Iterator
from multiprocessing.process import BaseProcess

from django.db import connections

from apps.jobs import ledger
from apps.jobs.ledger import Cut
from apps.jobs.models import Job
from apps.pipeline import chunk as chunking
from apps.pipeline import concat as joining
from apps.pipeline import infer as inference
from apps.pipeline.backends import Claimed, Done
from apps.pipeline.leases import Lease, LeaseLostError, recorded
from benchmarks.simulation import broker
from contract.frames import Picture, SegmentFrames
from contract.invocation import Completed
from contract.modes import Engine
from stereospot.celery import app

FRAMES, RATE = 480, 24
"""Of every segment: 20 seconds."""
TICK = 512
"""Of a clock of 12 288 a second, which is what ffmpeg gives such a film."""
PICTURE = Picture(eye_width=1920, eye_height=1080)
STOP_SECONDS = 20


def prepare(segments: int) -> None:
    """Before processes are forked: every film of theirs has so many segments."""
    app.conf.update(
        broker_url="memory://localhost",
        broker_transport=f"{broker.__name__}:Transport",
        broker_transport_options={"polling_interval": 0.01},
    )
    chunking.chunk = _Chunk(segments)
    inference.infer = _infer
    joining.concat = _concat


@contextlib.contextmanager
def fleet(converting: int) -> Iterator[None]:
    """One worker for stages, so many for segments, each a process with one slot."""
    fork = multiprocessing.get_context("fork")
    connections.close_all()
    queues = ["media", *["gpu"] * converting]
    workers: list[BaseProcess] = [
        fork.Process(target=_work, args=(queue, number), daemon=True)
        for number, queue in enumerate(queues)
    ]
    for worker in workers:
        worker.start()
    try:
        yield
    finally:
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.join(STOP_SECONDS)
            if worker.is_alive():
                worker.kill()


def _work(queue: str, number: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process stops us
    app.worker_main(
        [
            *(
                "--quiet",
                "worker",
                "-P",
                "solo",
                "-Q",
                queue,
                "-n",
                f"{queue}-{number}",
            ),
            *("--without-gossip", "--without-mingle", "--without-heartbeat"),
        ]
    )


class _Chunk:
    """Stands in for `apps.pipeline.chunk.chunk`: records what that would."""

    def __init__(self, segments: int) -> None:
        self._segments = segments

    def __call__(self, job: Job, lease: Lease) -> list[Cut]:
        seconds = self._segments * FRAMES / RATE
        for _ in range(2):  # by its header, then by its frames
            if not recorded(lambda: ledger.charge(job, seconds)):
                raise LeaseLostError

        def plan() -> bool:
            return ledger.record_plan(job, {}, PICTURE, "mp4", self._segments)

        if not recorded(plan):
            raise LeaseLostError
        return [Cut(_frames(index)) for index in range(self._segments)]


def _frames(index: int) -> SegmentFrames:
    pts = tuple(range(0, FRAMES * TICK, TICK))
    start = index * FRAMES * TICK
    return SegmentFrames(time_base=(1, TICK * RATE), start=start, pts=pts)


def _infer(claim: Claimed, lease: Lease) -> Done:
    claim.count(FRAMES)
    return Completed(
        frames=FRAMES, seconds=0.0, engine=Engine.PREVIEW, version="simulated"
    )


def _concat(job: Job, lease: Lease) -> Collection[int]:
    return ()
