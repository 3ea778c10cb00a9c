"""`manage.py migrate`: Django's own, one at a time.

Each task of a deployment runs it before its work. Whoever comes first brings the tables to
what this version wants; the others wait for that, and find nothing to do.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from django.core.management.commands import migrate
from django.db import connections

LOCK = 0x53_53_4D_47
"""PostgreSQL advisory lock: one migration at a time in the whole system."""


class Command(migrate.Command):
    def handle(self, *args: Any, **options: Any) -> None:
        with _alone(options["database"]):
            super().handle(*args, **options)


@contextlib.contextmanager
def _alone(database: str) -> Iterator[None]:
    """Waits as long as it takes, and lets a statement take as long as it must.

    Locks of tables are still not waited for: whoever queues for one holds up the site.
    """
    with connections[database].cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        cursor.execute("SET lock_timeout = 0")
        cursor.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        cursor.execute("RESET lock_timeout")
    try:
        yield
    finally:
        with connections[database].cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK])
            cursor.execute("RESET statement_timeout")
