from __future__ import annotations

import threading

import psycopg
import pytest
from django.db import OperationalError, connection

from apps.jobs import ledger
from apps.jobs.models import Job
from apps.pipeline.attempts import attempt, recorded
from contract.errors import ErrorCode, StereoSpotError


def always() -> bool:
    return True


def raising(error: BaseException):
    def work(lease):
        raise error

    return work


def test_work_that_succeeds_gives_its_result():
    assert attempt(always, lambda lease: 7) == 7


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (StereoSpotError(ErrorCode.NOT_A_VIDEO, "Text."), ErrorCode.NOT_A_VIDEO),
        (MemoryError(), ErrorCode.OUT_OF_MEMORY),
        (ZeroDivisionError(), ErrorCode.INTERNAL),
    ],
)
def test_every_failure_gets_a_code(error, code):
    assert attempt(always, raising(error)).code is code


def test_what_we_did_not_expect_shows_no_inner_detail():
    failure = attempt(always, raising(ValueError("secret of the database")))

    assert "secret" not in failure.message


def test_work_whose_lease_is_taken_away_stops_without_a_failure(settings):
    settings.LEASE_RENEWAL_SECONDS = 0.01
    reached = threading.Event()

    def work(lease):
        while True:
            reached.wait(0.01)
            lease.check()

    assert attempt(lambda: False, work) is None


def test_a_lease_is_renewed_while_the_work_lasts_and_no_longer(settings):
    settings.LEASE_RENEWAL_SECONDS = 0.01
    renewals: list[int] = []
    enough = threading.Event()

    def renew() -> bool:
        renewals.append(1)
        if len(renewals) == 3:
            enough.set()
        return True

    assert attempt(renew, lambda lease: enough.wait(5)) is True
    counted = len(renewals)
    threading.Event().wait(0.05)
    assert len(renewals) == counted


@pytest.mark.django_db(transaction=True)
def test_a_database_that_restarts_during_the_work_costs_no_result(job):
    segment = ledger.claim_segment(job.pk, 1)

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (ours,) = cursor.fetchone()

    def restart(lease):
        with psycopg.connect(**connection.get_connection_params()) as other:
            other.execute("SELECT pg_terminate_backend(%s)", [ours])

    attempt(always, restart)
    recorded(lambda: ledger.finish_segment(segment, seconds=1.0, version="1"))

    assert job.segments.get(index=1).status == "done"


@pytest.mark.django_db(transaction=True)
def test_a_result_waits_for_a_database_that_is_away_for_a_moment(job, monkeypatch):
    monkeypatch.setattr("apps.pipeline.attempts.time.sleep", lambda seconds: None)
    answers = iter([OperationalError("gone"), OperationalError("gone"), True])

    def record():
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert recorded(record) is True
    assert Job.objects.filter(pk=job.pk).exists()
