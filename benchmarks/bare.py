"""The rival: Celery alone, with the canvas of a film whose tasks do nothing.

    chain( chunk, tidy ), where chunk replaces itself by chord( group( infer × N ), concat )

Settings are Celery's own defaults, results lie in the same PostgreSQL (django-db, whose
chords need no polling). BARE_TRANSPORT in the environment names kombu's SQS (`sqs`), or ours.
"""

from __future__ import annotations

import os
import time
from typing import Any

import django
from celery import Celery, Task, chain, chord, group

from stereospot.embedded import Addresses

django.setup()

from django.conf import settings  # noqa: E402

VARIABLE = "BARE_TRANSPORT"
STOCK, OURS = "sqs", "workers.sqs:Transport"


def queue_of(transport: str) -> str:
    return "bare-stock" if transport == STOCK else "bare-ours"


def make(transport: str) -> Celery:
    bare = Celery("bare", set_as_current=False)
    bare.conf.update(
        broker_url=Addresses.of(settings.DATA_DIR).broker_url,
        broker_transport=transport,
        broker_transport_options={"is_secure": False, "region": settings.AWS_REGION},
        result_backend="django-db",
        task_default_queue=queue_of(transport),
        # Without it the stock worker asks a queue of its own for commands.
        worker_enable_remote_control=False,
    )
    bare.task(name="bare.chunk", bind=True)(chunk)
    bare.task(name="bare.infer")(infer)
    bare.task(name="bare.concat")(concat)
    bare.task(name="bare.tidy")(tidy)
    return bare


def chunk(self: Task[..., Any], segments: int) -> None:
    tasks = self.app.tasks
    parts = group(tasks["bare.infer"].si(index) for index in range(segments))
    raise self.replace(chord(parts, tasks["bare.concat"].si(time.time())))


def infer(index: int) -> None:
    pass


def concat(began: float) -> float:
    """Seconds since the chord was begun."""
    return time.time() - began


def tidy() -> None:
    pass


def run(bare: Celery, segments: int) -> float:
    """Convert a film of so many segments; seconds from the chord's begin to its body."""
    tasks = bare.tasks
    canvas = chain(tasks["bare.chunk"].si(segments), tasks["bare.tidy"].si())
    last: Any = canvas.apply_async()
    last.get(timeout=600, interval=0.05)
    return float(last.parent.get(timeout=60))


app = make(os.environ.get(VARIABLE, STOCK))
