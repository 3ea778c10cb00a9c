"""The processes of one machine: started together, restarted when they die, stopped together."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil
import structlog

log = structlog.get_logger(__name__)

STOP_SECONDS = 10
"""How long a process may finish its work after SIGTERM."""
RESTART_SECONDS = 2
"""Least time between two starts of a process that keeps dying."""
HEALTHY_SECONDS = 60
"""A process that lived so long has not died of how it was started."""
MOST_DEATHS = 5
"""Deaths in a row, each of a short life, after which it is not started again."""
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


class KeepsDyingError(Exception):
    """A process cannot live here; the message says where its log is."""


@dataclass
class _Process:
    name: str
    command: Sequence[str]
    log_file: Path
    variables: dict[str, str]
    started_at: float = 0.0
    popen: subprocess.Popen[bytes] | None = field(default=None)
    deaths: int = 0

    def start(self) -> None:
        self.started_at = time.monotonic()
        grace = {"SHUTDOWN_GRACE_SECONDS": str(STOP_SECONDS - 1)}
        with self.log_file.open("ab") as output:
            self.popen = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=os.environ | grace | self.variables,
                # Its own session: Ctrl-C reaches the supervisor alone, and the whole
                # group of a worker with its children can be killed at once.
                start_new_session=True,
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,
            )

    def signal(self, number: signal.Signals) -> None:
        if self.popen is not None and self.popen.poll() is None:
            os.killpg(self.popen.pid, number)


def _die_with_parent() -> None:
    """In the child before exec: SIGTERM when the supervisor is killed with -9."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


class Supervisor:
    """Context manager around processes that must all run.

    Use it from the main thread: Linux ties the children's lives to the thread that
    started them. `watch` is to be called every second or so.
    """

    def __init__(self, log_dir: Path) -> None:
        self.log_dir = log_dir
        self._children = log_dir / "children"
        self._processes: list[_Process] = []

    def __enter__(self) -> Self:
        self.log_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._end_orphans()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for process in self._processes:
            if process.popen is not None and process.popen.poll() is None:
                process.popen.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for process in self._processes:
            if process.popen is None:
                continue
            try:
                process.popen.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.signal(signal.SIGKILL)
                process.popen.wait()
        self._children.unlink(missing_ok=True)

    def start(
        self, name: str, *command: str, variables: dict[str, str] | None = None
    ) -> None:
        """Run `python COMMAND…`; its output goes to `NAME.log`."""
        log_file = self.log_dir / f"{name}.log"
        process = _Process(name, [sys.executable, *command], log_file, variables or {})
        process.start()
        self._processes.append(process)
        self._remember()

    def _remember(self) -> None:
        """Keep who our children are for whoever comes after a kill -9 of us."""
        lines = []
        for process in self._processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                if process.popen is not None:
                    born = psutil.Process(process.popen.pid).create_time()
                    lines.append(f"{process.popen.pid} {born}")
        self._children.write_text("\n".join(lines))

    def _end_orphans(self) -> None:
        """Kill what a killed supervisor has left: it holds leases, but has no queue."""
        if not self._children.exists():
            return
        for line in self._children.read_text().splitlines():
            pid, born = line.split()
            with contextlib.suppress(psutil.Error, ProcessLookupError):
                orphan = psutil.Process(int(pid))
                if orphan.create_time() == float(born):
                    os.killpg(orphan.pid, signal.SIGKILL)
                    orphan.wait(STOP_SECONDS)
        self._children.unlink()

    def watch(self) -> None:
        """Start again what has died; raises `KeepsDyingError` when that is no use."""
        for process in self._processes:
            code = process.popen.poll() if process.popen is not None else None
            if code is None or time.monotonic() - process.started_at < RESTART_SECONDS:
                continue
            lived = time.monotonic() - process.started_at
            process.deaths = 1 if lived > HEALTHY_SECONDS else process.deaths + 1
            if process.deaths >= MOST_DEATHS:
                raise KeepsDyingError(
                    f"The process {process.name!r} keeps dying; its log is "
                    f"{process.log_file}."
                )
            log.warning("process died, restarting", process=process.name, code=code)
            process.start()
            self._remember()
