"""Deployments that start many tasks at once migrate the ledger once."""

from __future__ import annotations

import threading
import time

import psycopg
import pytest
from django.core.management import call_command
from django.core.management.commands import migrate
from django.db import connection

from apps.jobs.management.commands.migrate import LOCK

pytestmark = pytest.mark.django_db(transaction=True)
WAITING = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"


@pytest.fixture
def limits(monkeypatch) -> list[tuple[str, str]]:
    """Time limits of statements and of locks, as each migration had them."""
    seen = []

    def handle(self, *args, **options):
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT current_setting('statement_timeout'), "
                "current_setting('lock_timeout')"
            )
            seen.append(cursor.fetchone())

    monkeypatch.setattr(migrate.Command, "handle", handle)
    return seen


def run() -> None:
    try:
        call_command("migrate", verbosity=0)
    finally:
        connection.close()


def test_while_one_migrates_the_others_wait_and_follow(limits):
    first = psycopg.connect(**connection.get_connection_params(), autocommit=True)
    try:
        first.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        others = [threading.Thread(target=run) for _ in range(2)]
        for other in others:
            other.start()
        while first.execute(WAITING).fetchone()[0] < len(others):
            time.sleep(0.02)
        assert limits == []
    finally:
        first.close()
    for other in others:
        other.join(30)

    assert len(limits) == len(others)


def test_a_long_migration_is_not_cut_off_but_waits_for_no_table(limits):
    call_command("migrate", verbosity=0)

    assert limits == [("0", "10s")]
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('statement_timeout')")
        assert cursor.fetchone() == ("1min",)


def test_a_migration_that_fails_lets_the_next_one_try(monkeypatch):
    def fail(self, *args, **options):
        raise RuntimeError("no such column")

    monkeypatch.setattr(migrate.Command, "handle", fail)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="no such column"):
            call_command("migrate", verbosity=0)
