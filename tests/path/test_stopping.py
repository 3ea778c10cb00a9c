"""A worker that has to stop, and a job that is stopped, in the middle of a conversion."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from stereospot.embedded import Services, say_ready
from tests.path.films import one_shot
from tests.path.stack import ROOT, Machine

RUNNING = "SELECT status = 'running' AND attempt = {} FROM jobs_segment"


@dataclass
class Workers:
    """Workers that a test starts and stops one by one."""

    machine: Machine
    started: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def convert(self, *, seconds: int) -> None:
        """Ask for the conversion of a film that is one segment."""
        folder = self.machine.data_dir.parent
        film = one_shot(folder / "film.mp4", seconds=seconds)
        command = ["convert", str(film), str(folder / "out.mp4")]
        with self.log("convert").open("wb") as log:
            self.started["convert"] = subprocess.Popen(
                [sys.executable, str(ROOT / "manage.py"), *command],
                env=self.machine.variables,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def start(self, queue: str, name: str, **environment: str) -> None:
        command = ["-m", "celery", "-A", "stereospot", "worker", "-Q", queue]
        with self.log(name).open("wb") as log:
            self.started[name] = subprocess.Popen(
                [sys.executable, *command, "-c", "1", "-n", f"{name}@here"],
                cwd=ROOT,
                env=self.machine.variables | environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def log(self, name: str) -> Path:
        return self.machine.data_dir / f"{name}.log"

    def wait_for(self, name: str, words: str, *, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while words not in (said := self.log(name).read_text()):
            assert time.monotonic() < deadline, said
            time.sleep(0.1)

    def end(self) -> None:
        for process in self.started.values():
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[Workers]:
    """A machine with a media worker and nothing else yet."""
    # A killed worker's poll stays open in moto for so long, and swallows a message.
    polls = {"SQS_LONG_POLL_WAIT_SECONDS": "1"}
    machine = Machine(tmp_path / "data", {"SEGMENT_SECONDS": "60", **polls})
    with Services(machine.data_dir):
        assert machine.run("migrate").returncode == 0
        say_ready(machine.data_dir)
        workers = Workers(machine)
        workers.start("media", "media")
        workers.wait_for("media", "ready")
        try:
            yield workers
        finally:
            workers.end()


def test_a_worker_that_cannot_finish_in_time_hands_its_segment_to_another(workers):
    workers.convert(seconds=12)
    workers.start("gpu", "first", SHUTDOWN_GRACE_SECONDS="1")
    workers.machine.wait_for(RUNNING.format(1))

    workers.started["first"].terminate()
    workers.start("gpu", "second")

    workers.machine.wait_for(RUNNING.format(2), seconds=20)
    assert workers.started["first"].wait(timeout=20) == 0
    assert workers.machine.query("SELECT failures FROM jobs_segment") == [(0,)]
    workers.machine.wait_for("SELECT status = 'completed' FROM jobs_job")


def test_a_worker_that_can_finish_in_time_does_and_takes_nothing_more(workers):
    workers.convert(seconds=12)
    workers.start("gpu", "first", SHUTDOWN_GRACE_SECONDS="100")
    workers.machine.wait_for(RUNNING.format(1))

    workers.started["first"].terminate()

    assert workers.started["first"].wait(timeout=60) == 0
    workers.machine.wait_for("SELECT status = 'completed' FROM jobs_job")
    assert workers.machine.query("SELECT attempt FROM jobs_segment") == [(1,)]


@pytest.mark.parametrize("ending", ["cancel", "delete"])
def test_a_job_that_is_stopped_costs_its_worker_seconds_more(workers, ending):
    workers.convert(seconds=60)
    workers.start("gpu", "first")
    workers.start("control", "control")
    workers.machine.wait_for(RUNNING.format(1))

    stop = f"from apps.jobs import ledger; ledger.{ending}(Job.objects.get().pk)"
    said = workers.machine.run("shell", "-c", stop)

    assert said.returncode == 0, said.stderr
    workers.wait_for("first", "attempt stopped", seconds=20)
