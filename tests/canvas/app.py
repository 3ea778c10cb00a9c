"""A Celery app that knows nothing of films: `celery -A tests.canvas.app worker`."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery, Task, chord

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "stereospot.settings")

app = Celery("canvas", set_as_current=False)
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.update(
    task_default_queue=os.environ.get("CANVAS_QUEUE", "canvas"),
    task_routes={},
    beat_schedule={},
    task_ignore_result=False,
)


@app.task(name="canvas.same")
def same(value: Any) -> Any:
    return value


@app.task(name="canvas.total")
def total(values: list[int]) -> int:
    return sum(values)


@app.task(name="canvas.spread", bind=True)
def spread(self: Task[..., Any], size: int) -> None:
    """Become a chord whose size is known only now."""
    self.replace(chord([same.si(index) for index in range(size)], total.s()))


@app.task(name="canvas.again", bind=True, max_retries=3)
def again(self: Task[..., Any], value: int) -> int:
    if self.request.retries < 2:
        raise self.retry(countdown=0)
    return value


@app.task(name="canvas.fail")
def fail() -> None:
    raise ValueError("no such film")


@app.task(name="canvas.note")
def note(task_id: str) -> str:
    """An errback."""
    return task_id
