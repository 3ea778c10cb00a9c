"""What the embedded PostgreSQL is asked, counted by itself: its log has every statement."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.db import connection

_LINE = re.compile(rb"^\S+ \S+ \S+ \[(\d+)\] LOG:  duration: ([\d.]+) ms", re.MULTILINE)
"""How a statement begins in it, by the prefix that PostgreSQL has of itself."""


@dataclass(frozen=True, slots=True)
class Asked:
    statements: float
    seconds: float
    """Of the server's time."""


@contextmanager
def counted(share: float = 1.0) -> Iterator[Callable[[], Asked]]:
    """What others have asked since the context began.

    Of a `share` of it, taken at random, the whole is estimated: a log of everything would
    be large.
    """
    log = settings.DATA_DIR / "postgres" / "log"
    begin = log.stat().st_size
    _configure(log_min_duration_sample="0", log_statement_sample_rate=str(share))
    try:
        yield lambda: _asked(log, begin, share)
    finally:
        _configure(log_min_duration_sample="-1", log_statement_sample_rate="1")


def _asked(log: Path, begin: int, share: float) -> Asked:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (own,) = cursor.fetchone() or (0,)
    with log.open("rb") as file:
        file.seek(begin)
        found = _LINE.findall(file.read())
    taken = [float(took) for process, took in found if int(process) != own]
    return Asked(len(taken) / share, sum(taken) / 1000 / share)


def _configure(**parameters: str) -> None:
    with connection.cursor() as cursor:
        for name, value in parameters.items():
            cursor.execute(f"ALTER SYSTEM SET {name} = {value}")
        cursor.execute("SELECT pg_reload_conf()")
