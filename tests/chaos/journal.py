"""What happened in a run: every process appends, the checks read."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Entry:
    what: str
    """Of a segment: called; told to fail; gave up; done or refused (by the ledger).
    Of a job: final (put), concat (sent), restarted (*Retry* or recut). Of a message:
    received, started, ended. Of processes: killed, died; database (gone or back)."""
    at: float
    """Seconds since the epoch."""
    pid: int = 0
    """Of the process; 0 of a kill: all of the group."""
    group: int = 0
    job: str = ""
    index: int = -1
    attempt: int = 0
    task: str = ""
    """Its id by Celery."""
    detail: str = ""


class Journal:
    def __init__(self, path: Path) -> None:
        self.path = path

    def write(
        self,
        what: str,
        *,
        pid: int | None = None,
        group: int | None = None,
        job: str = "",
        index: int = -1,
        attempt: int = 0,
        task: str = "",
        detail: str = "",
    ) -> None:
        """One line, whole although others write at the same time."""
        pid = os.getpid() if pid is None else pid
        group = os.getpgrp() if group is None else group
        entry = Entry(what, time.time(), pid, group, job, index, attempt, task, detail)
        line = json.dumps(asdict(entry)).encode() + b"\n"
        file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            os.write(file, line)
        finally:
            os.close(file)

    def entries(self) -> list[Entry]:
        if not self.path.exists():
            return []
        return [Entry(**json.loads(line)) for line in self.path.open()]
