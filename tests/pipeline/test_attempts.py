from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

import psycopg
import pytest
from celery.exceptions import Ignore, Reject
from django.db import InterfaceError, InternalError, OperationalError, connection

from apps.jobs import ledger
from apps.jobs.models import Job
from apps.pipeline import leases, outage
from apps.pipeline.attempts import attempt
from apps.pipeline.leases import recorded
from contract.errors import ErrorCode, StereoSpotError


@dataclass
class Claimed:
    """A claim on nothing, that remembers what became of it."""

    lives: bool = True
    seconds: float = 0.0
    renewed: int = 0
    released: bool = False
    on_renewal: Callable[[], None] = lambda: None

    def renew(self) -> bool:
        self.renewed += 1
        self.on_renewal()
        return self.lives

    def release(self) -> bool:
        self.released = True
        return True

    def remaining(self, elapsed: float) -> float:
        return self.seconds


def for_ever(lease):
    while True:
        threading.Event().wait(0.01)
        lease.check()


def raising(error: BaseException):
    def work(lease):
        raise error

    return work


def test_work_that_succeeds_gives_its_result():
    assert attempt(Claimed(), lambda lease: 7) == 7


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (StereoSpotError(ErrorCode.NOT_A_VIDEO, "Text."), ErrorCode.NOT_A_VIDEO),
        (MemoryError(), ErrorCode.OUT_OF_MEMORY),
        (RuntimeError("CUDA error: out of memory"), ErrorCode.OUT_OF_MEMORY),
        (ZeroDivisionError(), ErrorCode.INTERNAL),
    ],
)
def test_every_failure_gets_a_code(error, code):
    assert attempt(Claimed(), raising(error)).code is code


def test_what_we_did_not_expect_shows_no_inner_detail():
    failure = attempt(Claimed(), raising(ValueError("secret of the database")))

    assert "secret" not in failure.message


def test_work_whose_lease_is_taken_away_stops_and_says_nothing_about_the_task(settings):
    settings.LEASE_RENEWAL_SECONDS = 0.01

    with pytest.raises(Ignore):
        attempt(Claimed(lives=False), for_ever)


def test_a_lease_is_renewed_while_the_work_lasts_and_no_longer(settings):
    settings.LEASE_RENEWAL_SECONDS = 0.01
    claim, enough = Claimed(), threading.Event()

    def on_renewal() -> None:
        if claim.renewed == 3:
            enough.set()

    claim.on_renewal = on_renewal

    assert attempt(claim, lambda lease: enough.wait(5)) is True
    counted = claim.renewed
    threading.Event().wait(0.05)
    assert claim.renewed == counted


@pytest.mark.parametrize(
    "error", [OperationalError, InterfaceError, InternalError], ids=lambda e: e.__name__
)
def test_a_lease_outlasts_a_database_that_is_away_for_a_moment(settings, error):
    settings.LEASE_RENEWAL_SECONDS = 0.01
    claim, enough = Claimed(), threading.Event()

    def on_renewal() -> None:
        if claim.renewed == 1:
            raise error("gone")
        enough.set()

    claim.on_renewal = on_renewal

    assert attempt(claim, lambda lease: enough.wait(5)) is True


def test_a_lease_that_cannot_be_renewed_for_a_fault_of_ours_is_given_up(settings):
    settings.LEASE_RENEWAL_SECONDS = 0.01
    claim = Claimed()

    def on_renewal() -> None:
        raise ZeroDivisionError

    claim.on_renewal = on_renewal

    with pytest.raises(Ignore):
        attempt(claim, for_ever)


def test_work_that_is_done_does_not_wait_for_a_renewal_that_hangs(settings):
    settings.LEASE_RENEWAL_SECONDS = 0.01
    claim, hang = Claimed(), threading.Event()
    claim.on_renewal = lambda: bool(hang.wait(60)) and None
    try:
        assert attempt(claim, lambda lease: threading.Event().wait(0.1)) is False
    finally:
        hang.set()


def test_work_that_hangs_loses_its_lease(settings):
    settings.LEASE_RENEWAL_SECONDS = 0.01
    settings.CELERY_TASK_TIME_LIMIT = 0.05

    with pytest.raises(Ignore):
        attempt(Claimed(), for_ever)


def test_work_that_would_not_be_done_in_time_is_put_back_at_once(
    settings, told_to_stop
):
    settings.SHUTDOWN_GRACE_SECONDS = 30
    claim = Claimed(seconds=60)

    with pytest.raises(Reject) as rejected:
        attempt(claim, for_ever)

    assert rejected.value.requeue
    assert claim.released


def test_work_that_will_be_done_in_time_is_finished(settings, told_to_stop):
    settings.SHUTDOWN_GRACE_SECONDS = 30
    claim = Claimed(seconds=5)

    def work(lease):
        lease.check()
        return 7

    assert attempt(claim, work) == 7
    assert not claim.released


def test_work_that_takes_longer_than_it_seemed_is_put_back_before_the_end(
    settings, told_to_stop
):
    settings.SHUTDOWN_GRACE_SECONDS = leases.PUT_BACK_SECONDS + 0.1
    claim = Claimed(seconds=0.0)

    with pytest.raises(Reject):
        attempt(claim, for_ever)

    assert claim.released


@pytest.mark.django_db(transaction=True)
def test_a_database_that_restarts_during_the_work_costs_no_result(job):
    segment = ledger.claim_segment(job.pk, 1)

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (ours,) = cursor.fetchone()

    def restart(lease):
        with psycopg.connect(**connection.get_connection_params()) as other:
            other.execute("SELECT pg_terminate_backend(%s)", [ours])

    attempt(Claimed(), restart)
    recorded(lambda: ledger.finish_segment(segment, seconds=1.0, version="1"))

    assert job.segments.get(index=1).status == "done"


@pytest.mark.django_db(transaction=True)
def test_a_result_waits_for_a_database_that_is_away_for_a_moment(job, monkeypatch):
    monkeypatch.setattr(outage, "PAUSES", (0.0,))
    answers = iter([OperationalError("gone"), OperationalError("gone"), True])

    def record():
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert recorded(record) is True
    assert Job.objects.filter(pk=job.pk).exists()


def test_a_worker_that_has_to_stop_waits_no_longer_for_the_database(
    settings, told_to_stop
):
    settings.SHUTDOWN_GRACE_SECONDS = leases.PUT_BACK_SECONDS

    def record():
        raise OperationalError("gone")

    with pytest.raises(Reject):
        recorded(record)
