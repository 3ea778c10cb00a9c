"""What the database says about itself, before and after."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import connection

TABLES = (
    "jobs_job",
    "jobs_segment",
    "jobs_event",
    "django_celery_results_taskresult",
    "pipeline_chord",
    "pipeline_chordpart",
)
_ASK = """
SELECT active_time / 1000, xact_commit, sessions,
    pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0'),
    (SELECT sum(pg_total_relation_size(name)) FROM unnest(%s::regclass[]) name)
FROM pg_stat_database WHERE datname = current_database()
"""


@dataclass(frozen=True, slots=True)
class Figures:
    """Of the whole database, since it was made."""

    seconds: float
    """In which its processes were at work for somebody."""
    transactions: float
    connections: float
    wal_bytes: float
    """Written to the log from which it would recover."""
    bytes: float
    """Of the tables that grow with films, with their indexes."""

    @classmethod
    def now(cls) -> Figures:
        with connection.cursor() as cursor:
            cursor.execute(_ASK, [list(TABLES)])
            row = cursor.fetchone() or ()
        return cls(*map(float, row))

    def since(self, before: Figures) -> Figures:
        return Figures(
            self.seconds - before.seconds,
            self.transactions - before.transactions,
            self.connections - before.connections,
            self.wal_bytes - before.wal_bytes,
            self.bytes - before.bytes,
        )
