"""What the processes write into the journal beside their own deaths.

`install` and `note_restarts` wrap the product's functions from outside, as `points` does.
"""

from __future__ import annotations

import functools
from contextvars import ContextVar
from typing import Any

from celery.signals import (
    after_task_publish,
    task_postrun,
    task_prerun,
    task_received,
)
from structlog.contextvars import get_contextvars

from apps.jobs import ledger
from apps.jobs.ledger import Refused
from apps.pipeline import infer
from apps.pipeline.chords import ChordBackend
from tests.chaos.mechanisms import CHORD, LEDGER
from tests.chaos.points import journal

_by_chord: ContextVar[bool] = ContextVar("by_chord", default=False)


def install() -> None:
    """In a worker, before `points.install`: who dies there has written his note."""
    _note_answers()
    _note_attempts()
    _note_concats()
    task_received.connect(_received, weak=False)
    task_prerun.connect(_started, weak=False)
    task_postrun.connect(_ended, weak=False)


def note_restarts() -> None:
    """Where people ask for *Retry* and a recut: after these, work is done again."""
    for name in ("retry", "recut"):
        setattr(ledger, name, _noting_restart(getattr(ledger, name)))


def this_segment() -> dict[str, Any]:
    """What the running task is about, as the log has it as well."""
    context = get_contextvars()
    index, attempt = context["segment_index"], context["attempt"]
    return {"job": context["job_id"], "index": index, "attempt": attempt}


def _noting_restart(restart: Any) -> Any:
    @functools.wraps(restart)
    def noting(*args: Any, **facts: Any) -> Any:
        job = restart(*args, **facts)
        if job is not None:
            journal.write("restarted", job=str(job.pk))
        return job

    return noting


def _note_answers() -> None:
    finish = ledger.finish_segment

    @functools.wraps(finish)
    def noting(*args: Any, **facts: Any) -> Any:
        result = finish(*args, **facts)
        what = "refused" if isinstance(result, Refused) else "done"
        journal.write(what, detail=str(result), **this_segment())
        return result

    ledger.finish_segment = noting


def _note_attempts() -> None:
    convert = infer.infer

    @functools.wraps(convert)
    def noting(*args: Any) -> Any:
        try:
            return convert(*args)
        except BaseException as error:
            journal.write("gave up", detail=type(error).__name__, **this_segment())
            raise

    infer.infer = noting


def _note_concats() -> None:
    send = ChordBackend._send

    @functools.wraps(send)
    def sending(*args: Any) -> None:
        token = _by_chord.set(True)
        try:
            send(*args)
        finally:
            _by_chord.reset(token)

    ChordBackend._send = sending
    after_task_publish.connect(_concat_sent, sender="concat", weak=False)


def _concat_sent(**facts: Any) -> None:
    journal.write("concat", detail=CHORD if _by_chord.get() else LEDGER)


def _received(request: Any, **facts: Any) -> None:
    """In the worker's main process, before one of its children is given the task."""
    message = request.message.delivery_info["sqs_message"]["MessageId"]
    journal.write("received", task=request.id, detail=message)


def _started(task_id: str, **facts: Any) -> None:
    journal.write("started", task=task_id)


def _ended(task_id: str, state: str | None = None, **facts: Any) -> None:
    journal.write("ended", task=task_id, detail=state or "")
