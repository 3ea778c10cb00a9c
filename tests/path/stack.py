"""A whole stack of real processes, driven as a person drives it: by its commands."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import psycopg

from stereospot.embedded import Addresses

ROOT = Path(__file__).parent.parent.parent


@dataclass
class Machine:
    """One data directory, and the commands that run on it."""

    data_dir: Path
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def variables(self) -> dict[str, str]:
        outside = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("DATABASE_", "CELERY_", "DJANGO_", "SQS_"))
        }
        own = {"STEREOSPOT_DATA_DIR": str(self.data_dir), "SEGMENT_SECONDS": "1"}
        return outside | own | self.environment

    def start(self, *command: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, str(ROOT / "manage.py"), *command],
            env=self.variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(
        self, *command: str, timeout: float = 240
    ) -> subprocess.CompletedProcess[str]:
        process = self.start(*command)
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            raise AssertionError(
                f"{command} hung:\n{out}\n{err}{self.logs()}"
            ) from None
        return subprocess.CompletedProcess(command, process.returncode, out, err)

    def query(self, sql: str) -> list[tuple[object, ...]]:
        url = Addresses.of(self.data_dir).database_url
        with psycopg.connect(url, connect_timeout=5) as connection:
            return connection.execute(sql.encode()).fetchall()

    def wait_for(self, sql: str, *, seconds: float = 120) -> None:
        """Until the query's first answer is true."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with contextlib.suppress(
                psycopg.OperationalError, psycopg.errors.UndefinedTable
            ):
                if (rows := self.query(sql)) and rows[0][0]:
                    return
            time.sleep(0.2)
        raise AssertionError(f"never true: {sql}\n{self.logs()}")

    def kill_everything(self) -> None:
        """`kill -9` of every process that works on this data directory."""
        for process in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL)
        deadline = time.monotonic() + 10
        while self.processes() and time.monotonic() < deadline:
            time.sleep(0.1)
        assert self.processes() == []

    def processes(self) -> list[psutil.Process]:
        marks = (f"STEREOSPOT_DATA_DIR={self.data_dir}", str(self.data_dir))
        return [p for p in psutil.process_iter() if _belongs(p, marks)]

    def logs(self) -> str:
        return "\n".join(
            f"== {path.name}\n{path.read_text()[-3000:]}"
            for path in sorted((self.data_dir / "logs").glob("*.log"))
        )

    @contextlib.contextmanager
    def up(self, address: str) -> Iterator[subprocess.Popen[str]]:
        """The stack runs inside it, and has gone, with all its processes, after it."""
        process = self.start("up", "--address", address)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=60)
        assert self.processes() == []


def _belongs(process: psutil.Process, marks: tuple[str, str]) -> bool:
    if process.pid == os.getpid():
        return False
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        # PostgreSQL has its folder as an argument, or as its working directory.
        return (
            process.environ().get("STEREOSPOT_DATA_DIR") == marks[1]
            or any(marks[1] in part for part in process.cmdline())
            or process.cwd().startswith(marks[1])
        )
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False
