"""A chord's body lies once in the database; the messages of its parts only mention it."""

from __future__ import annotations

from typing import Any

from celery import Signature
from celery.signals import before_task_publish

from apps.pipeline.chords import ChordBackend
from apps.pipeline.header import takes_results


@before_task_publish.connect
def mention_the_body(body: Any, **_: Any) -> None:
    """In messages of parts whose chord `ChordBackend` keeps, of whatever Celery app.

    Celery puts the body, a chain with all its options maybe, into each of them. A message
    that still has it, for it was sent by an older version, is understood as well.
    """
    canvas = body[2] if isinstance(body, tuple) else {}  # not in protocol 1
    chord = canvas.get("chord")
    if isinstance(chord, Signature) and isinstance(chord.app.backend, ChordBackend):
        canvas["chord"] = _mention(chord)


def _mention(body: Any) -> dict[str, Any]:
    """All that is asked of a body when a part returns."""
    options = {"task_id": body.id, "link_error": body.options.get("link_error")}
    return {
        "task": body.task,
        "args": [],
        "kwargs": {},
        "options": {name: value for name, value in options.items() if value},
        "subtask_type": None,
        "immutable": not takes_results(body),
    }
