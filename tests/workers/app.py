"""A small Celery app whose tasks write down when they begin and end.

Configured by the environment variable WORKER_TEST, see `harness.settings`.
"""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError
from celery import Celery, Task
from celery.exceptions import Reject
from celery.signals import worker_ready, worker_shutting_down

from workers import monitor, pulse
from workers.sqs import Channel

own = json.loads(os.environ["WORKER_TEST"])
log = Path(own.pop("log"))
break_after = own.pop("break_after", None)
app = Celery("tests", set_as_current=False)
app.conf.update(own)
if own.get("monitor_database"):
    monitor.install(app)
pulse.install(app)
if own.get("go_deaf"):  # every message, and the next poll, is dropped
    Channel._schedule_queue = lambda self, queue: None
draining = threading.Event()


@worker_shutting_down.connect
def _drain(**kwargs: Any) -> None:
    draining.set()


@worker_ready.connect
def _break_later(sender: Any, **kwargs: Any) -> None:
    """An error of SQS's comes out of the event loop, once."""

    def fail() -> None:
        raise ClientError({"Error": {"Code": "Odd", "Message": "as ordered"}}, "Any")

    if break_after is not None and not sender.restart_count:
        sender.hub.call_later(break_after, fail)


def note(what: str, name: str) -> None:
    line = json.dumps([time.time(), os.getpid(), what, name]) + "\n"
    with log.open("ab", buffering=0) as file:
        file.write(line.encode())


@app.task
def nap(name: str, seconds: float = 0.0) -> None:
    note("begin", name)
    time.sleep(seconds)
    note("end", name)


@app.task
def nap_or_drain(name: str, seconds: float) -> None:
    """Gives its message back when the worker shuts down, as a long task should."""
    note("begin", name)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        # Children of the prefork pool do not get the signal.
        if draining.is_set() or log.with_suffix(".drain").exists():
            note("drain", name)
            raise Reject("the worker shuts down", requeue=True)
        time.sleep(0.02)
    note("end", name)


@app.task(bind=True)
def retry_on(self: Task[Any, Any], queue: str) -> None:
    """Its retry goes to another queue, where nobody takes it."""
    raise self.retry(countdown=0, queue=queue)


@app.task
def fail(name: str) -> None:
    raise ValueError(name)


@app.task(bind=True, max_retries=1)
def retry_once(self: Task[Any, Any], name: str) -> None:
    if not self.request.retries:
        raise self.retry(countdown=1)
    note("end", name)


@app.task(bind=True)
def refuse(self: Task[Any, Any], name: str, times: int, requeue: bool) -> None:
    """Rejects its message so often, then takes it."""
    message = self.request.properties["delivery_info"]["sqs_message"]
    count = int(message["Attributes"]["ApproximateReceiveCount"])
    note("redelivered" if self.request.delivery_info["redelivered"] else "first", name)
    if count <= times:
        raise Reject("not today", requeue=requeue)
    note("end", name)
