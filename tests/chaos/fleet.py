"""The real parts of a run: PostgreSQL, SQS behind a faulty proxy, and the workers."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Self

from django.conf import settings
from django.db import connections

from apps.pipeline.media.tools import die_with_parent
from stereospot.postgres import Postgres
from tests.chaos.journal import Journal

ROOT = Path(__file__).parent.parent.parent
MOST_REST = 2.0
"""Seconds for which a killed worker, or the database, stays away at the most."""
STOP_SECONDS = 15
LINES = 40
"""Of each worker's log, when something went wrong."""

_OPTIONS = ("--without-gossip", "--without-mingle", "--without-heartbeat")
_COMMANDS = {
    "media": ("worker", *_OPTIONS, "-n", "media@%h", "-Q", "media", "-c", "2"),
    "gpu": ("worker", *_OPTIONS, "-n", "gpu@%h", "-Q", "gpu", "-c", "8"),
    "control": (
        "worker",
        *_OPTIONS,
        "-n",
        "control@%h",
        "-Q",
        "control",
        "-P",
        "threads",
        "-c",
        "4",
    ),
    "beat": ("beat", "--pidfile=", "-s", "beat-schedule"),
}
WORKERS = tuple(_COMMANDS)


@dataclass
class _Worker:
    name: str
    due: float = 0.0
    """When it is to be started (again)."""
    process: subprocess.Popen[bytes] | None = None


class Fleet:
    """Context manager: the workers run inside it. Call `watch` every moment."""

    def __init__(self, folder: Path, journal: Journal, random: Random) -> None:
        self._folder = folder
        self._journal = journal
        self._random = random
        self._workers = {name: _Worker(name) for name in WORKERS}
        self.restarts = 0
        """Of the database."""

    def __enter__(self) -> Self:
        self.watch()
        return self

    def __exit__(self, *error: object) -> None:
        for worker in self._workers.values():
            if worker.process is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(worker.process.pid, signal.SIGKILL)
                worker.process.wait()

    def watch(self) -> None:
        """Start what is due, and what has died after a rest."""
        for worker in self._workers.values():
            code = None if worker.process is None else worker.process.poll()
            if worker.process is not None and code is not None:
                self._bury(worker, worker.process.pid, code)
            if worker.process is None and time.monotonic() >= worker.due:
                worker.process = self._start(worker.name)

    def kill(self, name: str) -> None:
        """`kill -9` of a worker with all its children."""
        process = self._workers[name].process
        if process is None:
            return
        self._journal.write("killed", pid=0, group=process.pid, detail=name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def stop(self, *names: str) -> None:
        """Tell them to stop, as a machine that is shut down does; they stay away."""
        stopped = [self._workers[name] for name in names]
        for worker in stopped:
            worker.due = float("inf")
            if worker.process is not None:
                worker.process.terminate()
        for worker in stopped:
            if worker.process is not None:
                self._end(worker, worker.process)
                worker.process = None

    def restart_database(self) -> None:
        """As after a crash of its machine: no connection is closed in good order."""
        lock = settings.DATA_DIR / "postgres" / "postmaster.pid"
        postmaster = int(lock.read_text().split("\n")[0])
        self._journal.write("database")
        os.kill(postmaster, signal.SIGQUIT)  # PostgreSQL's "immediate shutdown"
        deadline = time.monotonic() + STOP_SECONDS
        while lock.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(self._random.uniform(0, MOST_REST))
        Postgres.start(settings.DATA_DIR)
        connections.close_all()
        self._journal.write("database")
        self.restarts += 1

    def logs(self) -> str:
        """The last lines that each worker has said."""
        tails = {
            path.name: path.read_text(errors="replace").splitlines()[-LINES:]
            for path in sorted(self._folder.glob("*.log"))
        }
        return "\n".join(
            f"== {name}\n" + "\n".join(line[:600] for line in lines)
            for name, lines in tails.items()
        )

    def _start(self, name: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "celery", "-A", "tests.chaos.app"]
        own = {
            "PYTHONPATH": str(ROOT),
            # What a killed Python leaves there must not outlive the run.
            "TMPDIR": str(self._folder),
            # SIGABRT makes it say where it is.
            "PYTHONFAULTHANDLER": "1",
        }
        with (self._folder / f"{name}.log").open("ab") as output:
            return subprocess.Popen(
                [*command, *_COMMANDS[name]],
                cwd=self._folder,
                env=os.environ | own,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )

    def _bury(self, worker: _Worker, group: int, code: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)  # children that it has left
        if code != -signal.SIGKILL:
            self._journal.write(
                "died", group=group, detail=f"{worker.name} ended with {code}"
            )
        worker.process = None
        worker.due = time.monotonic() + self._random.uniform(0, MOST_REST)

    def _end(self, worker: _Worker, process: subprocess.Popen[bytes]) -> None:
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._journal.write("died", detail=f"{worker.name} does not stop")
            process.send_signal(signal.SIGABRT)
            time.sleep(1.0)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
