"""How a job's work is put back, and how a job ends: for good, everywhere, in any state."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils.timezone import now

from apps.jobs import ledger
from apps.jobs.ledger import Refused
from apps.jobs.models import STATUSES, Event, Job, Segment
from contract.errors import ErrorCode, StereoSpotError
from tests.concurrency import at_once

OTHERS = [status for status in STATUSES if status != "deleted"]


def put_into(job: Job, status: str) -> None:
    over = status in ("completed", "failed", "cancelled", "deleted")
    Job.objects.filter(pk=job.pk).update(
        status=status,
        finished_at=now() if over else None,
        notify_at=None if over or status == "created" else now(),
        error_code="storage" if status == "failed" else "",
    )


# --- Put back ---------------------------------------------------------------------


def test_a_segment_that_is_put_back_is_free_at_once_and_nobody_has_failed(job):
    stopping = ledger.claim_segment(job.pk, 1)

    assert ledger.release_segment(stopping) is True

    taken = ledger.claim_segment(job.pk, 1)
    assert (taken.attempt, taken.failures) == (2, 0)
    assert ledger.renew_segment(stopping, frames_done=1) is False


def test_a_stage_that_is_put_back_is_free_at_once_and_nobody_has_failed(job):
    put_into(job, "reassembling")
    stopping = ledger.claim_stage(job.pk, Job.Status.REASSEMBLING)

    assert ledger.release_stage(stopping) is True

    taken = ledger.claim_stage(job.pk, Job.Status.REASSEMBLING)
    assert (taken.attempt, taken.failures) == (3, 0)
    assert ledger.renew_stage(stopping) is False


def test_what_another_has_taken_over_cannot_be_put_back(job):
    lost = ledger.claim_segment(job.pk, 1)
    Segment.objects.filter(pk=lost.pk).update(lease_expires_at=now())
    ledger.claim_segment(job.pk, 1)

    assert ledger.release_segment(lost) is False
    assert job.segments.get(index=1).status == Segment.Status.RUNNING


# --- Deleted ----------------------------------------------------------------------


@pytest.mark.parametrize("status", OTHERS)
def test_a_job_is_deleted_in_any_state(job, status):
    put_into(job, status)

    assert ledger.delete(job.pk) is True

    job.refresh_from_db()
    assert (job.status, job.error_code) == (Job.Status.DELETED, "")
    assert job.tidy_at is not None


def test_deleting_takes_the_work_from_its_workers(job):
    running = ledger.claim_segment(job.pk, 1)

    ledger.delete(job.pk)

    assert ledger.renew_segment(running, frames_done=1) is False
    late = ledger.finish_segment(running, seconds=1.0, version="1")
    assert late is Refused.TAKEN
    assert ledger.claim_segment(job.pk, 2) is Refused.OVER


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("round_", range(5))
def test_deleting_and_finishing_at_once_leave_a_deleted_job(job, round_):
    put_into(job, "reassembling")
    concat = ledger.claim_stage(job.pk, Job.Status.REASSEMBLING)

    deleted, _ = at_once(
        [lambda: ledger.delete(job.pk), lambda: ledger.finish_concat(concat)]
    )

    job.refresh_from_db()
    assert deleted is True
    assert job.status == Job.Status.DELETED


@pytest.mark.django_db(transaction=True)
def test_deleting_and_retrying_at_once_leave_a_deleted_job(job):
    put_into(job, "failed")

    at_once([lambda: ledger.delete(job.pk), lambda: ledger.retry(job.pk)])

    job.refresh_from_db()
    assert job.status == Job.Status.DELETED


@pytest.mark.django_db(transaction=True)
def test_deleting_eight_times_at_once_deletes_once(job):
    answers = at_once([lambda: ledger.delete(job.pk)] * 8)

    assert answers.count(True) == 1
    assert Event.objects.filter(kind="deleted").count() == 1


# --- Tidied -----------------------------------------------------------------------


def ended(job: Job, status: str, ago: timedelta) -> Job:
    put_into(job, status)
    Job.objects.filter(pk=job.pk).update(
        finished_at=now() - ago, tidy_at=now() - timedelta(seconds=1)
    )
    return Job.objects.get(pk=job.pk)


@pytest.mark.parametrize("status", ["completed", "cancelled", "deleted"])
def test_the_store_is_looked_at_again_for_those_who_had_not_heard(
    job, settings, status
):
    ledger.note_tidied(ended(job, status, timedelta()))

    job.refresh_from_db()
    soon = timedelta(seconds=2 * settings.LEASE_SECONDS)
    assert job.tidy_at == job.finished_at + soon


@pytest.mark.parametrize("status", ["completed", "cancelled", "deleted"])
def test_the_store_is_looked_at_once_more_when_nobody_can_be_left(
    job, settings, status
):
    ledger.note_tidied(ended(job, status, timedelta(minutes=5)))

    job.refresh_from_db()
    late = timedelta(seconds=settings.LATE_WRITER_SECONDS)
    assert job.tidy_at == job.finished_at + late


@pytest.mark.parametrize("status", ["completed", "cancelled"])
def test_in_the_end_nothing_is_left_to_tidy(job, settings, status):
    late = timedelta(seconds=settings.LATE_WRITER_SECONDS)

    assert ledger.note_tidied(ended(job, status, late)) is True

    job.refresh_from_db()
    assert job.tidy_at is None


def test_in_the_end_nothing_is_left_of_a_deleted_job(job, settings):
    late = timedelta(seconds=settings.LATE_WRITER_SECONDS)

    assert ledger.note_tidied(ended(job, "deleted", late)) is True

    assert not Job.objects.exists()
    assert not Segment.objects.exists()
    assert not Event.objects.exists()


def test_what_was_tidied_for_a_completed_job_does_not_do_for_a_deleted_one(job):
    completed = ended(job, "completed", timedelta())
    ledger.delete(job.pk)

    assert ledger.note_tidied(completed) is False


def test_a_failed_job_keeps_its_segments_for_the_retry(job):
    ledger.fail_segment(
        ledger.claim_segment(job.pk, 1),
        StereoSpotError(ErrorCode.DISK_FULL, "The disk is full."),
    )

    job.refresh_from_db()
    assert job.tidy_at is None
    with pytest.raises(IntegrityError), transaction.atomic():
        Job.objects.update(tidy_at=now())


# --- Abandoned --------------------------------------------------------------------


def test_a_job_whose_source_never_came_fails_and_says_what_to_do(alice):
    waiting = Job.objects.create(owner=alice, title="Rain", mode="sbs")

    assert ledger.abandon(waiting.pk) is True

    waiting.refresh_from_db()
    assert (waiting.status, waiting.error_code) == ("failed", "source-missing")


def test_a_job_whose_source_came_is_not_abandoned(job):
    assert ledger.abandon(job.pk) is False
