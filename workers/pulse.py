"""Tell a health check whether a worker's consumer still hears, by a file.

    app.conf.worker_pulse_dir = "/somewhere"     # or nothing: no file
    pulse.install(app)
    python -m workers.pulse /somewhere           # exit 1, and why, when one is deaf

A worker that lives, and does not ask its queue, is the worst kind: nobody replaces it.
Each `BEAT` a thread of the worker writes since when it has been silent: it has a free
slot, or nothing in hand at all, and began no poll. A poll that SQS does not answer ends by
itself, and the next one begins: an outage of SQS is no reason to replace workers.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from celery import bootsteps
from celery.worker.state import reserved_requests

from workers.hearing import note_poll
from workers.hearing import silence as since_last_poll

logger = logging.getLogger(__name__)

# Seconds.
BEAT = 5.0
DEAF = 60.0
"""Without a poll, or without a beat; polls begin at least each half minute."""


def install(app: Any, each_beat: Callable[[], None] = lambda: None) -> None:
    """To be called once, before a worker starts. `each_beat` is called in the thread."""
    app.each_beat = each_beat
    app.steps["consumer"].add(Pulse)


class Pulse(bootsteps.StartStopStep):
    """Writes while the consumer runs; a worker whose consumer ended has no fresh file."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, consumer: Any, **kwargs: Any):
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        super().__init__(consumer, **kwargs)

    def include_if(self, consumer: Any) -> bool:
        return bool(consumer.app.conf.get("worker_pulse_dir"))

    def start(self, consumer: Any) -> None:
        self._stopping = threading.Event()
        file = Path(consumer.app.conf.worker_pulse_dir) / f"{consumer.hostname}.pulse"
        note_poll()
        self._thread = threading.Thread(
            target=_beat, args=(consumer, file, self._stopping), daemon=True
        )
        self._thread.start()

    def stop(self, consumer: Any) -> None:
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(1.0)  # it deletes the file

    shutdown = stop


def write(file: Path, *, silent: float = 0.0) -> None:
    """A sign of life of who reads a queue; `silent`: seconds for which it did not."""
    unfinished = file.with_suffix(f".{os.getpid()}.part")
    said = {"at": time.time(), "host": socket.gethostname(), "silent": silent}
    with contextlib.suppress(OSError):  # a full disk is the tasks' to report
        unfinished.write_text(json.dumps(said))
        unfinished.replace(file)


def _beat(consumer: Any, file: Path, stopping: threading.Event) -> None:
    while not stopping.is_set():
        write(file, silent=silence(consumer))
        try:
            consumer.app.each_beat()
        except Exception:  # the next beat has to come
            logger.exception("A beat was missed")
        stopping.wait(BEAT)
    with contextlib.suppress(OSError):
        file.unlink()


def silence(consumer: Any) -> float:
    """Seconds for which it should have polled, and did not begin to."""
    # The set may change meanwhile, and the channel be replaced: then it lives.
    with contextlib.suppress(AttributeError, RuntimeError):
        is_full = not consumer.task_consumer.channel.qos.can_consume()
        if is_full and len(reserved_requests):
            note_poll()
    return since_last_poll()


def deaf(folder: Path) -> list[str]:
    """Of this machine's workers that have a file there, which are deaf, and why."""
    found = []
    here = socket.gethostname()
    for file in sorted(folder.glob("*.pulse")):
        try:
            said = json.loads(file.read_text())
        except (OSError, ValueError):
            continue  # it has just stopped
        if said["host"] != here:
            continue  # of a container whose volume this was
        if (age := time.time() - said["at"]) > DEAF:
            found.append(f"{file.stem} gave no sign of life for {age:.0f} s")
        elif said["silent"] > DEAF:
            found.append(f"{file.stem} has not polled for {said['silent']:.0f} s")
    return found


def main(arguments: list[str]) -> int:
    """0 for healthy, else 1 and why."""
    folder = Path(arguments[0])
    if not any(folder.glob("*.pulse")):
        print("No worker consumes here", file=sys.stderr)
        return 1
    reasons = deaf(folder)
    print("\n".join(reasons), file=sys.stderr)
    return 1 if reasons else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
