"""The outbox: who is to be told that a job is over, and what becomes of it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils.timezone import now

from apps.jobs import ledger
from apps.jobs.models import Job, Notice, Subscription
from contract.errors import ErrorCode, StereoSpotError
from contract.notices import NoticeKind
from tests.concurrency import at_once

USERS = StereoSpotError(ErrorCode.NOT_A_VIDEO, "This is a text file.")


def subscribe(owner, target: str = "https://a.example/", *kinds: str) -> Subscription:
    return Subscription.objects.create(
        owner=owner,
        channel="webhook",
        target=target,
        kinds=list(kinds or NoticeKind),
        details={"salt": "salt"},
    )


@pytest.fixture
def subscription(alice) -> Subscription:
    return subscribe(alice)


@pytest.fixture
def notice(job, subscription) -> Notice:
    """Alice has cancelled her job, and is to be told so."""
    ledger.cancel(job.pk)
    return Notice.objects.get()


def come_due() -> None:
    Notice.objects.filter(due_at__isnull=False).update(due_at=now())


def test_nobody_is_told_who_did_not_ask(job):
    ledger.cancel(job.pk)

    assert not Notice.objects.exists()


def test_only_the_owner_is_told(job, charlie):
    subscribe(charlie)

    ledger.cancel(job.pk)

    assert not Notice.objects.exists()


def test_the_end_and_the_notice_of_it_are_one_fact(job, subscription, monkeypatch):
    monkeypatch.setattr("apps.jobs.ledger.people.rows.note", _boom)

    with pytest.raises(RuntimeError):
        ledger.cancel(job.pk)

    job.refresh_from_db()
    assert job.status == Job.Status.CHUNKED
    assert not Notice.objects.exists()


def _boom(*args: object) -> None:
    raise RuntimeError("the worker dies here")


def test_a_completed_job_is_told_with_its_title(job, subscription):
    job.segments.update(status="done", seconds=1.0, notify_at=None)
    ledger.reassemble_when_done(job.pk)

    ledger.finish_concat(ledger.claim_stage(job.pk, Job.Status.REASSEMBLING))

    body = Notice.objects.get().get_body()
    assert (body.type, body.data.title) == (NoticeKind.COMPLETED, "Rain")
    assert body.data.error is None


def test_a_failed_job_is_told_with_what_to_do(job, subscription):
    ledger.fail_segment(ledger.claim_segment(job.pk, 1), USERS)

    error = Notice.objects.get().get_body().data.error
    assert error is not None
    assert (error.code, error.who_must_act) == ("not-a-video", "user")
    assert error.message == "This is a text file."


def test_a_job_that_fails_twice_is_told_twice(job, subscription):
    ledger.fail_segment(ledger.claim_segment(job.pk, 1), USERS)
    ledger.retry(job.pk)
    ledger.fail_segment(ledger.claim_segment(job.pk, 1), USERS)

    assert [n.kind for n in Notice.objects.all()] == [NoticeKind.FAILED] * 2


def test_each_address_is_told_what_it_asked_for(job, alice):
    subscribe(alice, "https://failures.example/", NoticeKind.FAILED)
    all_ends = subscribe(alice, "https://all.example/")

    ledger.cancel(job.pk)

    assert Notice.objects.get().subscription == all_ends


@pytest.mark.django_db(transaction=True)
def test_ending_eight_times_at_once_is_told_once(job, subscription):
    at_once([lambda: ledger.cancel(job.pk)] * 8)

    assert Notice.objects.count() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("round_", range(5))
def test_unsubscribing_while_a_job_ends_costs_neither(job, subscription, round_):
    ended, _ = at_once(
        [
            lambda: ledger.cancel(job.pk),
            lambda: ledger.unsubscribe(subscription.pk),
        ]
    )

    assert ended is True
    assert not Subscription.objects.exists()
    assert not Notice.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_eight_workers_at_once_tell_a_notice_once(notice):
    claims = at_once([lambda: ledger.claim_notice(notice.pk)] * 8)

    assert sum(claim is not None for claim in claims) == 1


def test_what_a_worker_died_with_is_told_again_under_the_same_id(notice):
    ledger.claim_notice(notice.pk)
    assert ledger.claim_notice(notice.pk) is None
    come_due()

    again = ledger.claim_notice(notice.pk)

    assert again is not None
    assert (again.pk, again.attempts) == (notice.pk, 2)


def test_what_was_told_is_not_told_again(notice):
    claimed = ledger.claim_notice(notice.pk)

    assert ledger.note_told(claimed, "HTTP 200") is True

    notice.refresh_from_db()
    assert (notice.state, notice.due_at, notice.answer) == ("told", None, "HTTP 200")
    assert ledger.claim_notice(notice.pk) is None


@pytest.mark.parametrize(
    ("failing", "pause"),
    [
        (None, timedelta(seconds=30)),
        (timedelta(seconds=20), timedelta(seconds=30)),
        (timedelta(hours=1), timedelta(hours=1)),
        (timedelta(days=2), timedelta(hours=12)),
    ],
)
def test_an_address_is_left_alone_for_as_long_as_it_has_failed(notice, failing, pause):
    since = now() - failing if failing else None
    Subscription.objects.update(failing_since=since)

    ledger.note_untold(ledger.claim_notice(notice.pk), "HTTP 500")

    notice.refresh_from_db()
    assert abs(notice.due_at - now() - pause) < timedelta(seconds=5)


def test_a_fresh_notice_of_a_failing_address_waits_with_the_others(job, subscription):
    ledger.cancel(job.pk)
    first = Notice.objects.get()
    Subscription.objects.update(failing_since=now() - timedelta(hours=1))
    ledger.note_untold(ledger.claim_notice(first.pk), "HTTP 500")

    ledger.delete(job.pk)

    first.refresh_from_db()
    fresh = Notice.objects.exclude(pk=first.pk).get()
    assert fresh.due_at == first.due_at > now() + timedelta(minutes=59)
    assert ledger.claim_notice(fresh.pk) is None


def test_a_fresh_notice_does_not_shorten_the_pause(job, subscription):
    """It is the address that fails, whichever notice is tried."""
    ledger.cancel(job.pk)
    Notice.objects.all().delete()
    Subscription.objects.update(failing_since=now() - timedelta(hours=3))
    ledger.delete(job.pk)
    fresh = Notice.objects.get()

    ledger.note_untold(ledger.claim_notice(fresh.pk), "HTTP 500")

    fresh.refresh_from_db()
    assert fresh.due_at > now() + timedelta(hours=2)


@pytest.mark.django_db(transaction=True)
def test_a_failing_address_is_asked_for_one_notice_at_a_time(job, subscription):
    ledger.cancel(job.pk)
    ledger.delete(job.pk)
    Subscription.objects.update(failing_since=now() - timedelta(hours=1))
    notices = list(Notice.objects.all())
    assert len(notices) == 2

    claims = at_once([lambda n=n: ledger.claim_notice(n.pk) for n in notices * 4])

    assert sum(claim is not None for claim in claims) == 1


def test_a_late_answer_of_an_abandoned_attempt_changes_nothing(notice):
    abandoned = ledger.claim_notice(notice.pk)
    come_due()
    ledger.note_told(ledger.claim_notice(notice.pk), "HTTP 200")

    assert ledger.note_untold(abandoned, "HTTP 500") is False

    notice.refresh_from_db()
    assert notice.state == "told"


def test_an_address_that_fails_holds_back_its_own_notices_only(job, alice):
    failing, well = subscribe(alice), subscribe(alice, "https://b.example/")
    ledger.cancel(job.pk)
    ledger.delete(job.pk)
    first, second = Notice.objects.filter(subscription=failing)

    ledger.note_untold(ledger.claim_notice(first.pk), "HTTP 500")

    assert ledger.claim_notice(second.pk) is None
    for notice in Notice.objects.filter(subscription=well):
        assert ledger.claim_notice(notice.pk) is not None


def test_an_address_that_answers_again_is_told_all_at_once(job, subscription):
    ledger.cancel(job.pk)
    ledger.delete(job.pk)
    first, second = Notice.objects.all()
    ledger.note_untold(ledger.claim_notice(first.pk), "HTTP 500")
    Notice.objects.filter(pk=first.pk).update(due_at=now())

    ledger.note_told(ledger.claim_notice(first.pk), "HTTP 200")

    assert ledger.claim_notice(second.pk) is not None
    subscription.refresh_from_db()
    assert subscription.failing_since is None


def test_a_notice_is_given_up_after_three_days(notice):
    long_ago = now() - timedelta(days=3, seconds=1)
    Notice.objects.update(created_at=long_ago)

    ledger.note_untold(ledger.claim_notice(notice.pk), "HTTP 500")

    notice.refresh_from_db()
    assert notice.state == "given up"


def test_an_address_that_fails_for_days_is_stopped(notice, subscription):
    long_ago = now() - timedelta(days=5, seconds=1)
    Subscription.objects.update(failing_since=long_ago)

    ledger.note_untold(ledger.claim_notice(notice.pk), "HTTP 500")

    subscription.refresh_from_db()
    notice.refresh_from_db()
    assert subscription.stopped_at is not None
    assert notice.state == "given up"


def test_an_address_that_is_gone_is_stopped_at_once(notice, subscription, job):
    ledger.note_untold(ledger.claim_notice(notice.pk), "HTTP 410", gone=True)

    ledger.delete(job.pk)

    subscription.refresh_from_db()
    assert subscription.stopped_at is not None
    assert Notice.objects.count() == 1


def test_a_notice_outlives_its_job(notice, job):
    Job.objects.get(pk=job.pk).delete()

    notice.refresh_from_db()
    assert (notice.job, notice.get_body().data.title) == (None, "Rain")


def test_what_is_settled_is_forgotten_after_a_month(notice):
    Notice.objects.update(created_at=now() - timedelta(days=31))
    assert ledger.forget_notices(10) == 0

    ledger.note_told(ledger.claim_notice(notice.pk), "HTTP 200")

    assert ledger.forget_notices(10) == 1
