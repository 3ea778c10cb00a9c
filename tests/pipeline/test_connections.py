"""Which connections to the database outlive a task."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from celery import shared_task
from celery.app.trace import trace_task_ret
from celery.signals import task_prerun
from django.db import connection

from apps.pipeline import connections
from apps.pipeline.attempts import attempt
from stereospot.celery import app

pytestmark = pytest.mark.django_db(transaction=True)


@shared_task(name="tests.ask", ignore_result=True)
def ask() -> None:
    connection.cursor().execute("SELECT 1")


def work() -> Any:
    """As a worker does it; the connection afterwards."""
    request = {"id": "an id", "delivery_info": {}}
    trace_task_ret("tests.ask", "an id", request, ((), {}, {}), None, None, app=app)
    return connection.connection


def test_a_process_keeps_its_connection_from_task_to_task():
    first = work()
    assert first is not None
    assert work() is first


def test_a_thread_of_a_pool_keeps_none():
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(work).result() is None


def test_a_connection_that_died_between_two_tasks_is_replaced():
    died = work()
    with psycopg.connect(**connection.get_connection_params()) as other:
        other.execute("SELECT pg_terminate_backend(%s)", [died.info.backend_pid])
    task_prerun.send(sender=ask, task_id="an id", task=ask, args=(), kwargs={})
    connection.cursor().execute("SELECT 1")  # raises nothing
    assert connection.connection is not died


class Claim:
    def renew(self) -> bool:
        return True

    def release(self) -> bool:
        return True

    def remaining(self, elapsed: float) -> float:
        return 0.0


@pytest.mark.parametrize(("idle", "is_kept"), [(60.0, True), (0.0, False)])
def test_a_connection_that_was_idle_for_long_is_not_trusted(
    monkeypatch: pytest.MonkeyPatch, idle: float, is_kept: bool
):
    monkeypatch.setattr(connections, "IDLE", idle)
    before = work()
    done: Callable[..., str] = lambda lease: "done"  # noqa: E731
    assert attempt(Claim(), done) == "done"
    assert (connection.connection is before) is is_kept
