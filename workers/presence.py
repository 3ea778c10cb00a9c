"""Which workers live, by the connections that they hold to PostgreSQL for monitoring.

A worker's connection has a name that says whose it is. It is gone when the worker is,
however that ended: there is no row to keep fresh, and none is left behind.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

PREFIX = "worker "
LONGEST = 63
"""Bytes of an application's name that PostgreSQL keeps."""

QUERY = """
    SELECT application_name, backend_start FROM pg_stat_activity
    WHERE datname = current_database() AND usename = current_user
      AND starts_with(application_name, 'worker ')
    ORDER BY application_name, backend_start
"""
"""The workers that live; each row makes a `Worker.of`."""


@dataclass(frozen=True, slots=True)
class Worker:
    """One that has a connection; `node` is Celery's name of it, maybe without its end."""

    node: str
    queues: tuple[str, ...]
    since: datetime

    @classmethod
    def of(cls, name: str, since: datetime) -> Worker:
        queues, _, node = name.removeprefix(PREFIX).partition(" ")
        return cls(node, tuple(queues.split(",")), since)


def connection_name(node: str, queues: Sequence[str]) -> str:
    """As the worker's connection is to be called."""
    name = f"{PREFIX}{','.join(sorted(queues))} {node}"
    return name.encode("ascii", "replace").decode()[:LONGEST]
