from __future__ import annotations

import pytest
from celery.exceptions import Reject
from django.db import OperationalError, connection, transaction
from django.db.backends.utils import CursorWrapper

from apps.pipeline import outage
from tests.pipeline.chords import Trial

STATEMENTS = 9
"""That the only part of a chord takes, from its result to the sent body."""

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def down(monkeypatch: pytest.MonkeyPatch):
    """Call it with n: the next n statements fail as if the server were gone."""
    left = 0
    execute = CursorWrapper.execute

    def failing(self, *args, **kwargs):
        nonlocal left
        if left:
            left -= 1
            raise OperationalError("server closed the connection unexpectedly")
        return execute(self, *args, **kwargs)

    def begin(times: int) -> None:
        nonlocal left
        left = times

    monkeypatch.setattr(CursorWrapper, "execute", failing)
    monkeypatch.setattr(outage, "PAUSES", (0.0, 0.01))
    return begin


@pytest.mark.parametrize("times", [1, 2, 7, 20])
def test_a_part_outlasts_an_outage_at_any_point(down, times: int):
    trial = Trial(1)
    down(times)
    trial.succeed(0)
    assert trial.row.state == "sent"
    assert len(trial.sent()) == 1


@pytest.mark.parametrize("statements", range(1, STATEMENTS + 1))
def test_an_outage_between_any_two_statements_loses_nothing(
    monkeypatch: pytest.MonkeyPatch, statements: int
):
    trial = Trial(1)
    monkeypatch.setattr(outage, "PAUSES", (0.0,))
    execute = CursorWrapper.execute
    count = 0

    def failing(self, *args, **kwargs):
        nonlocal count
        count += 1
        if count == statements:
            raise OperationalError("terminating connection")
        return execute(self, *args, **kwargs)

    monkeypatch.setattr(CursorWrapper, "execute", failing)
    trial.succeed(0)
    assert count >= statements
    assert trial.row.state == "sent"
    assert {message["id"] for message in trial.sent()} == {trial.body.id}


def test_a_broken_connection_is_replaced(down):
    Trial(1)
    connection.ensure_connection()
    broken = connection.connection
    down(1)
    outage.outlast(_ask, using="default")
    assert broken.closed
    assert connection.connection is not broken


def test_a_worker_that_is_told_to_stop_gives_the_message_back(down, told_to_stop):
    trial = Trial(1)
    down(1_000_000)
    with pytest.raises(Reject) as rejected:
        trial.succeed(0)
    assert rejected.value.requeue
    down(0)
    assert trial.row.remaining == 1


def test_a_worker_that_stops_still_finishes_while_the_database_answers(
    told_to_stop,
):
    trial = Trial(1)
    trial.succeed(0)
    assert len(trial.sent()) == 1


def test_inside_a_transaction_the_error_is_raised(down):
    with transaction.atomic():
        down(1)
        with pytest.raises(OperationalError):
            outage.outlast(_ask, using="default")


def test_an_outage_is_told_once_a_second(down, monkeypatch: pytest.MonkeyPatch):
    told = []
    monkeypatch.setattr(outage, "_said", float("-inf"))
    monkeypatch.setattr(
        outage.log, "warning", lambda *args, **facts: told.append(facts)
    )
    trial = Trial(1)
    down(20)
    trial.succeed(0)
    assert len(told) == 1
    assert "server closed" in told[0]["error"]


def test_other_errors_are_not_repeated():
    calls = []

    def action() -> None:
        calls.append(1)
        raise ValueError("ours")

    with pytest.raises(ValueError, match="ours"):
        outage.outlast(action, using="default")
    assert len(calls) == 1


def _ask() -> None:
    connection.cursor().execute("SELECT 1")


def test_a_statement_that_takes_too_long_is_no_outage():
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 10")

    def slow() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(1)")

    with pytest.raises(OperationalError, match="statement timeout"):
        outage.outlast(slow, using="default")
    connection.close()
