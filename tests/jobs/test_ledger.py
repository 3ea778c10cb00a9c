"""The rules of the ledger, each with the competition that it is made for."""

from __future__ import annotations

from datetime import timedelta
from threading import Thread

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils.timezone import now

from apps.jobs import ledger
from apps.jobs.ledger import Cut, Refused, rows
from apps.jobs.models import Event, Job, Segment
from contract.errors import ErrorCode, StereoSpotError
from tests.concurrency import at_once

TRANSIENT = StereoSpotError(ErrorCode.STORAGE, "The bucket did not answer.")
USERS = StereoSpotError(ErrorCode.NOT_A_VIDEO, "This is a text file.")


def expire(segment: Segment) -> None:
    Segment.objects.filter(pk=segment.pk).update(
        lease_expires_at=now() - timedelta(seconds=1)
    )


def finish(segment: Segment) -> bool:
    return ledger.finish_segment(segment, seconds=1.0, version="1")


@pytest.fixture
def waiting(alice) -> Job:
    """Alice's film whose source is just arriving."""
    return Job.objects.create(owner=alice, title="Rain", mode="sbs")


@pytest.fixture
def chunking(waiting) -> Job:
    ledger.start(waiting.pk)
    return waiting


# --- Starting and cutting ---------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_source_that_arrives_eight_times_is_cut_once(waiting):
    answers = at_once([lambda: ledger.start(waiting.pk)] * 8)

    assert answers.count(True) == 1
    assert Event.objects.filter(kind="started").count() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("round_", range(5))
def test_a_stage_is_claimed_by_one_of_eight_workers(chunking, round_):
    claims = at_once([lambda: ledger.claim_stage(chunking.pk, Job.Status.CHUNKING)] * 8)

    assert claims.count(Refused.TAKEN) == 7


def test_a_stage_is_not_claimed_for_a_job_that_is_elsewhere(chunking):
    refused = ledger.claim_stage(chunking.pk, Job.Status.REASSEMBLING)

    assert refused is Refused.OVER


def test_a_stage_whose_lease_ran_out_may_be_taken_over(chunking):
    lost = ledger.claim_stage(chunking.pk, Job.Status.CHUNKING)
    Job.objects.update(lease_expires_at=now() - timedelta(seconds=1))

    taken = ledger.claim_stage(chunking.pk, Job.Status.CHUNKING)

    assert taken.attempt == lost.attempt + 1
    assert ledger.renew_stage(lost) is False
    assert ledger.renew_stage(taken) is True


def test_the_late_plan_of_a_lost_worker_changes_nothing(chunking, picture, frames):
    lost = ledger.claim_stage(chunking.pk, Job.Status.CHUNKING)
    Job.objects.update(lease_expires_at=now() - timedelta(seconds=1))
    ledger.claim_stage(chunking.pk, Job.Status.CHUNKING)

    assert ledger.record_plan(lost, {}, picture, "mp4", 1) is False
    assert ledger.finish_chunk(lost, [Cut(frames)]) is False
    assert Segment.objects.count() == 0


def test_segments_and_their_total_exist_when_chunking_is_complete(
    chunking, picture, frames
):
    job = ledger.claim_stage(chunking.pk, Job.Status.CHUNKING)
    ledger.record_plan(job, {"codec": "h264"}, picture, "mkv", 2)

    assert ledger.finish_chunk(job, [Cut(frames), Cut(frames)]) is True

    job.refresh_from_db()
    assert (job.status, job.total_segments) == (Job.Status.CHUNKED, 2)
    assert job.lease_expires_at is None
    assert [segment.index for segment in job.segments.all()] == [0, 1]


def test_a_cutter_that_lost_the_answer_gets_it_again(chunking, picture, frames):
    job = ledger.claim_stage(chunking.pk, Job.Status.CHUNKING)
    ledger.record_plan(job, {}, picture, "mp4", 1)
    ledger.finish_chunk(job, [Cut(frames)])

    assert ledger.finish_chunk(job, [Cut(frames)]) is True
    assert Segment.objects.count() == 1


def test_what_the_user_must_mend_fails_the_job_at_once(chunking):
    job = ledger.claim_stage(chunking.pk, Job.Status.CHUNKING)

    assert ledger.fail_stage(job, USERS) is None

    job.refresh_from_db()
    assert (job.status, job.error_code) == (Job.Status.FAILED, "not-a-video")
    assert job.error_message == "This is a text file."


def test_a_passing_trouble_is_tried_three_times(chunking, settings):
    pauses = []
    for _ in range(settings.MAX_ATTEMPTS):
        job = ledger.claim_stage(chunking.pk, Job.Status.CHUNKING)
        again = ledger.fail_stage(job, TRANSIENT)
        pauses.append(again and again.pause)

    assert pauses == [*settings.RETRY_PAUSES, None]
    chunking.refresh_from_db()
    assert (chunking.status, chunking.error_code) == (Job.Status.FAILED, "storage")


def test_a_film_that_kills_each_worker_fails_in_the_end(chunking, settings):
    for _ in range(settings.MAX_ATTEMPTS):
        ledger.claim_stage(chunking.pk, Job.Status.CHUNKING)
        Job.objects.update(lease_expires_at=now() - timedelta(seconds=1))

    refused = ledger.claim_stage(chunking.pk, Job.Status.CHUNKING)

    assert refused is Refused.OVER
    chunking.refresh_from_db()
    assert (chunking.status, chunking.error_code) == ("failed", "lease-expired")


# --- Segments ---------------------------------------------------------------------


def test_claiming_counts_the_attempt_and_takes_a_lease(job):
    segment = ledger.claim_segment(job.pk, 1)

    assert (segment.status, segment.attempt) == (Segment.Status.RUNNING, 1)
    assert segment.lease_expires_at > now()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("round_", range(5))
def test_a_message_delivered_eight_times_at_once_claims_once(job, round_):
    claims = at_once([lambda: ledger.claim_segment(job.pk, 1)] * 8)

    assert claims.count(Refused.TAKEN) == 7
    assert job.segments.get(index=1).attempt == 1


@pytest.mark.parametrize("index", [0, 99])
def test_a_segment_that_is_done_or_unknown_is_not_claimed(job, index):
    assert ledger.claim_segment(job.pk, index) is Refused.OVER


def test_an_expired_lease_is_taken_over_and_counts_as_a_failure(job):
    expire(ledger.claim_segment(job.pk, 1))

    segment = ledger.claim_segment(job.pk, 1)

    assert (segment.attempt, segment.failures) == (2, 1)


def test_the_late_answer_of_an_abandoned_attempt_changes_nothing(job):
    abandoned = ledger.claim_segment(job.pk, 1)
    expire(abandoned)
    ledger.claim_segment(job.pk, 1)

    assert finish(abandoned) is Refused.TAKEN
    assert ledger.fail_segment(abandoned, USERS) is Refused.TAKEN
    assert ledger.renew_segment(abandoned, frames_done=5) is False
    assert job.segments.get(index=1).status == Segment.Status.RUNNING
    job.refresh_from_db()
    assert job.status == Job.Status.CHUNKED


def test_finishing_a_segment_that_is_not_the_last_starts_no_concat(job):
    assert finish(ledger.claim_segment(job.pk, 1)) is False

    job.refresh_from_db()
    assert job.status == Job.Status.CHUNKED


@pytest.mark.django_db(transaction=True)
def test_no_worker_waits_for_others_to_finish_or_to_claim_segments_of_the_same_job(job):
    segment = ledger.claim_segment(job.pk, 1)
    with transaction.atomic():
        rows.lock_job(job.pk)  # somebody is at it
        assert at_once([lambda: finish(segment)]) == [False]
    with transaction.atomic():
        rows.lock_job_shared(job.pk)  # somebody is about to claim another one
        (claimed,) = at_once([lambda: ledger.claim_segment(job.pk, 2)])
    assert claimed.attempt == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("round_", range(5))
def test_a_job_that_is_stopped_while_its_segments_are_claimed_keeps_none(job, round_):
    claims = [
        lambda index=index: ledger.claim_segment(job.pk, index) for index in (1, 2)
    ]

    at_once([*claims, lambda: ledger.cancel(job.pk)])

    assert set(job.segments.values_list("status", flat=True)) == {"done", "pending"}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("round_", range(5))
def test_two_lost_segments_that_are_taken_over_at_once_fail_their_job_once(
    job, settings, round_
):
    for index in (1, 2):
        for _ in range(settings.MAX_ATTEMPTS - 1):
            expire(ledger.claim_segment(job.pk, index))

    claims = [
        lambda index=index: ledger.claim_segment(job.pk, index) for index in (1, 2)
    ]
    at_once(claims * 2)
    for index in (1, 2):
        expire(job.segments.get(index=index))
    at_once(claims * 2)

    job.refresh_from_db()
    assert (job.status, job.error_code) == (Job.Status.FAILED, "lease-expired")
    assert Event.objects.filter(kind="failed").count() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("round_", range(20))
def test_exactly_one_of_many_workers_starts_the_concat(job, frames, round_):
    workers = 8
    job.segments.all().delete()
    Segment.objects.bulk_create(
        Segment(job=job, index=i, frames=frames.model_dump(mode="json"), frame_count=25)
        for i in range(workers)
    )
    claimed = [ledger.claim_segment(job.pk, i) for i in range(workers)]

    answers = at_once([lambda s=segment: finish(s) for segment in claimed])

    assert answers.count(True) == 1
    job.refresh_from_db()
    assert job.status == Job.Status.REASSEMBLING


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("round_", range(10))
def test_finishing_and_cancelling_at_once_leave_one_truth(job, round_):
    job.segments.filter(index=1).update(status="done", seconds=1, notify_at=None)
    last = ledger.claim_segment(job.pk, 2)

    finished, cancelled = at_once([lambda: finish(last), lambda: ledger.cancel(job.pk)])

    job.refresh_from_db()
    assert cancelled is True
    assert job.status == Job.Status.CANCELLED
    assert Event.objects.filter(kind="converted").count() == int(finished is True)


def test_the_last_failed_attempt_fails_the_job_and_stops_the_others(job, settings):
    other = ledger.claim_segment(job.pk, 2)
    for _ in range(settings.MAX_ATTEMPTS):
        ledger.fail_segment(ledger.claim_segment(job.pk, 1), TRANSIENT)

    job.refresh_from_db()
    assert (job.status, job.error_code) == (Job.Status.FAILED, "storage")
    assert job.finished_at is not None
    assert ledger.renew_segment(other, frames_done=1) is False
    assert ledger.claim_segment(job.pk, 2) is Refused.OVER


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("stop", [ledger.cancel, ledger.delete])
def test_a_renewal_that_waits_for_who_stops_the_job_hears_of_it(job, stop):
    segment = ledger.claim_segment(job.pk, 1)
    heard = []

    def renew() -> None:
        heard.append(ledger.renew_segment(segment, frames_done=1))
        connection.close()

    with transaction.atomic():
        stop(job.pk)
        renewal = Thread(target=renew)
        renewal.start()
        renewal.join(0.3)
        assert heard == []  # it waits for our commit
    renewal.join()

    assert heard == [False]


@pytest.mark.django_db(transaction=True)
def test_a_renewal_that_waits_for_a_take_over_does_not_renew_the_taker(job):
    lost = ledger.claim_segment(job.pk, 1)
    expire(lost)
    heard = []

    def renew() -> None:
        heard.append(ledger.renew_segment(lost, frames_done=7))
        connection.close()

    with transaction.atomic():
        ledger.claim_segment(job.pk, 1)
        renewal = Thread(target=renew)
        renewal.start()
        renewal.join(0.3)
    renewal.join()

    assert heard == [False]
    assert job.segments.get(index=1).frames_done == 0


def test_progress_is_recorded_with_each_renewal(job):
    segment = ledger.claim_segment(job.pk, 1)

    assert ledger.renew_segment(segment, frames_done=7) is True
    assert job.segments.get(index=1).frames_done == 7


def test_a_machine_that_starts_frees_what_nobody_works_on_and_blames_nobody(
    job, chunking
):
    ledger.claim_segment(job.pk, 1)
    ledger.claim_stage(chunking.pk, Job.Status.CHUNKING)

    ledger.begin_afresh()

    assert ledger.claim_segment(job.pk, 1).failures == 0
    assert ledger.claim_stage(chunking.pk, Job.Status.CHUNKING).failures == 0


# --- People -----------------------------------------------------------------------


def test_retrying_goes_on_from_what_is_done(job):
    ledger.fail_segment(ledger.claim_segment(job.pk, 1), USERS)

    again = ledger.retry(job.pk)

    assert again.status == Job.Status.CHUNKED
    assert (again.error_code, again.finished_at) == ("", None)
    assert [s.status for s in job.segments.all()] == ["done", "pending", "pending"]
    assert ledger.claim_segment(job.pk, 0) is Refused.OVER
    assert ledger.claim_segment(job.pk, 1).failures == 0


def test_retrying_a_job_that_was_never_cut_cuts_it(chunking):
    ledger.fail_stage(ledger.claim_stage(chunking.pk, Job.Status.CHUNKING), USERS)

    assert ledger.retry(chunking.pk).status == Job.Status.CHUNKING


def test_retrying_a_failed_concat_joins_again(job):
    job.segments.update(status="done", seconds=1.0, notify_at=None)
    ledger.reassemble_when_done(job.pk)
    ledger.fail_stage(ledger.claim_stage(job.pk, Job.Status.REASSEMBLING), USERS)

    assert ledger.retry(job.pk).status == Job.Status.REASSEMBLING


@pytest.mark.django_db(transaction=True)
def test_retrying_four_times_at_once_retries_once(job):
    ledger.fail_segment(ledger.claim_segment(job.pk, 1), USERS)

    answers = at_once([lambda: ledger.retry(job.pk)] * 4)

    assert len([answer for answer in answers if answer]) == 1


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled", "deleted"])
def test_a_final_state_is_sticky(job, status):
    error = "storage" if status == "failed" else ""
    Job.objects.update(
        status=status, finished_at=now(), notify_at=None, error_code=error
    )

    assert ledger.cancel(job.pk) is False
    assert ledger.start(job.pk) is False
    assert ledger.claim_segment(job.pk, 1) is Refused.OVER
    assert ledger.reassemble_when_done(job.pk) is False
    job.refresh_from_db()
    assert job.status == status


# --- The database's own rules -----------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"status": "completed"},
        {"status": "nonsense"},
        {"mode": "cube"},
        {"notify_at": None},
        {"error_code": "storage"},
        {"max_disparity": 11},
        {"total_segments": 0},
        {"lease_expires_at": now()},
    ],
)
def test_the_database_refuses_a_job_that_cannot_be(job, change):
    with pytest.raises(IntegrityError), transaction.atomic():
        Job.objects.filter(pk=job.pk).update(**change)


@pytest.mark.parametrize(
    "change",
    [{"status": "running"}, {"status": "done"}, {"index": 0}, {"frame_count": 0}],
)
def test_the_database_refuses_a_segment_that_cannot_be(job, change):
    with pytest.raises(IntegrityError), transaction.atomic():
        job.segments.filter(index=1).update(**change)
