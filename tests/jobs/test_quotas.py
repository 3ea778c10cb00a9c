from __future__ import annotations

from datetime import UTC, datetime, timedelta
from threading import Event
from types import SimpleNamespace

import pytest
from django.contrib.auth.models import User
from django.utils.timezone import now

from apps.jobs import ledger, limits, tokens
from apps.jobs.ledger import rows
from apps.jobs.models import Account, Charge, Job
from contract.errors import Blame, ErrorCode, StereoSpotError
from tests.concurrency import at_once

MINUTE = 60.0


@pytest.fixture(autouse=True)
def quotas(settings) -> None:
    settings.QUOTA_FILMS_AT_ONCE = 2
    settings.QUOTA_MINUTES_A_MONTH = 100


def film(owner: User, **facts) -> Job:
    return Job(owner=owner, title="Rain", mode="sbs", **facts)


def create(owner: User) -> bool:
    try:
        ledger.create(film(owner))
    except StereoSpotError:
        return False
    return True


def being_cut(owner: User) -> Job:
    """A job that a worker is cutting just now."""
    job = film(owner)
    job.save()
    assert ledger.start(job.pk)
    claimed = ledger.claim_stage(job.pk, Job.Status.CHUNKING)
    assert isinstance(claimed, Job)
    return claimed


def charged(job: Job, minutes: float) -> bool:
    try:
        return ledger.charge(job, minutes * MINUTE)
    except StereoSpotError:
        return False


def minutes_of(owner: User) -> float:
    return ledger.quota_of(owner).seconds / MINUTE


def fail(job: Job, code: ErrorCode) -> None:
    job.refresh_from_db()
    while ledger.fail_stage(job, StereoSpotError(code, "It failed.")):
        claimed = ledger.claim_stage(job.pk, Job.Status.CHUNKING)
        assert isinstance(claimed, Job)
        job = claimed


def cut(job: Job, frames) -> None:
    assert ledger.finish_chunk(job, [ledger.Cut(frames)] * 2) is True


@pytest.mark.django_db
def test_a_person_has_as_many_films_in_work_as_they_may(alice, charlie):
    assert [create(alice) for _ in range(3)] == [True, True, False]
    assert create(charlie)


@pytest.mark.django_db
def test_the_refusal_says_what_to_do_and_who_must(alice):
    create(alice), create(alice)

    with pytest.raises(
        StereoSpotError, match=r"2 films in work.*cancel one"
    ) as refused:
        ledger.create(film(alice))

    assert refused.value.code is ErrorCode.TOO_MANY_FILMS
    assert refused.value.code.blame is Blame.USER


@pytest.mark.django_db
def test_a_film_that_is_over_makes_room(alice):
    create(alice), create(alice)
    ledger.cancel(Job.objects.filter(owner=alice)[0].pk)

    assert create(alice)


@pytest.mark.django_db(transaction=True)
def test_of_many_films_at_the_same_moment_no_more_than_allowed_begin(alice):
    assert sum(at_once([lambda: create(alice)] * 8)) == 2
    assert Job.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_of_two_films_at_the_same_moment_one_takes_the_minutes_left(alice):
    jobs = [being_cut(alice) for _ in range(4)]

    assert sum(at_once([lambda job=job: charged(job, 60) for job in jobs])) == 1
    assert minutes_of(alice) == 60


@pytest.mark.django_db(transaction=True)
def test_the_same_film_charged_at_once_counts_once(alice):
    job = being_cut(alice)

    assert at_once([lambda: charged(job, 60)] * 4) == [True] * 4
    assert minutes_of(alice) == 60


@pytest.mark.django_db
def test_a_film_longer_than_what_is_left_is_refused_with_a_sentence(alice):
    assert charged(being_cut(alice), 40)

    with pytest.raises(
        StereoSpotError,
        match=r"The film has 60\.5 min, and of your 100 .* 60 min are left",
    ):
        ledger.charge(being_cut(alice), 60.5 * MINUTE)

    assert minutes_of(alice) == 40


@pytest.mark.django_db
def test_nothing_begins_once_the_minutes_are_used_up(alice, charlie):
    assert charged(being_cut(alice), 100)

    with pytest.raises(StereoSpotError, match=r"used up\. Come back on 1 "):
        ledger.create(film(alice))
    assert create(charlie)


@pytest.mark.django_db
def test_a_longer_count_of_the_same_film_adds_only_what_it_is_longer(alice):
    job = being_cut(alice)

    assert charged(job, 10)
    assert charged(job, 30)
    assert charged(job, 20)
    assert minutes_of(alice) == 30
    assert not charged(job, 101)


@pytest.mark.django_db
def test_a_worker_that_lost_the_film_charges_nothing(alice):
    job = being_cut(alice)
    ledger.cancel(job.pk)

    assert not ledger.charge(job, MINUTE)
    assert minutes_of(alice) == 0


@pytest.mark.django_db
def test_a_retry_counts_nothing_twice(alice, frames):
    job = being_cut(alice)
    assert charged(job, 60)
    fail(job, ErrorCode.INTERNAL)
    assert minutes_of(alice) == 0

    assert ledger.retry(job.pk)
    again = ledger.claim_stage(job.pk, Job.Status.CHUNKING)
    assert charged(again, 60)
    assert minutes_of(alice) == 60
    assert Charge.objects.count() == 1


@pytest.mark.django_db
def test_a_retry_that_goes_on_from_what_is_done_counts_again(alice, frames, picture):
    job = being_cut(alice)
    assert charged(job, 60)
    ledger.record_plan(job, {}, picture, "mp4", 2)
    cut(job, frames)
    error = StereoSpotError(ErrorCode.DISK_FULL, "The disk is full.")
    segment = ledger.claim_segment(job.pk, 0)
    ledger.fail_segment(segment, error)
    assert minutes_of(alice) == 0

    assert ledger.retry(job.pk)
    assert minutes_of(alice) == 60


@pytest.mark.django_db(transaction=True)
def test_who_cancels_while_the_film_is_counted_does_not_pay(alice, monkeypatch):
    job = being_cut(alice)
    looked, cancelled = Event(), Event()
    held = rows.held

    def held_a_moment_ago(job: Job) -> SimpleNamespace:
        answer = held(job).exists()
        looked.set()
        cancelled.wait(1)
        return SimpleNamespace(exists=lambda: answer)

    def cancel() -> bool:
        looked.wait(30)
        done = ledger.cancel(job.pk)
        cancelled.set()
        return done

    monkeypatch.setattr(rows, "held", held_a_moment_ago)

    assert at_once([lambda: charged(job, 60), cancel])[1] is True
    assert minutes_of(alice) == 0


def failed_job(owner: User) -> Job:
    job = being_cut(owner)
    fail(job, ErrorCode.STORAGE)
    return job


def retried(job: Job) -> bool:
    try:
        return ledger.retry(job.pk, within_quota=True) is not None
    except StereoSpotError:
        return False


@pytest.mark.django_db(transaction=True)
def test_of_many_retried_at_once_no_more_go_on_than_may_be_in_work(alice):
    jobs = [failed_job(alice) for _ in range(6)]
    create(alice)

    assert sum(at_once([lambda job=job: retried(job) for job in jobs])) == 1
    assert ledger.quota_of(alice).films == 2


@pytest.mark.django_db
def test_an_operator_retries_whatever_its_owner_has_in_work(alice):
    job = failed_job(alice)
    create(alice), create(alice)

    with pytest.raises(StereoSpotError, match="2 films in work"):
        ledger.retry(job.pk, within_quota=True)
    assert ledger.retry(job.pk)


@pytest.mark.django_db
def test_a_retry_of_what_was_given_back_looks_at_the_minutes_left(
    alice, frames, picture
):
    job = being_cut(alice)
    assert charged(job, 60)
    ledger.record_plan(job, {}, picture, "mp4", 2)
    cut(job, frames)
    error = StereoSpotError(ErrorCode.DISK_FULL, "The disk is full.")
    ledger.fail_segment(ledger.claim_segment(job.pk, 0), error)
    assert charged(being_cut(alice), 50)

    with pytest.raises(StereoSpotError, match=r"has 60 min, .* 50 min are left"):
        ledger.retry(job.pk, within_quota=True)

    assert minutes_of(alice) == 50
    job.refresh_from_db()
    assert job.status == Job.Status.FAILED


@pytest.mark.django_db
def test_a_retry_counts_as_a_new_film_but_not_for_staff(
    client, admin_user, alice, monkeypatch, settings
):
    settings.QUOTA_FILMS_AT_ONCE = None
    monkeypatch.setattr("apps.pipeline.messages.send_retry", lambda job: None)
    once = limits.Limit("creation", free=1, leak=1000, pause=1000, longest=1000)
    monkeypatch.setattr(limits, "CREATION", once)
    first, second = failed_job(alice), failed_job(alice)

    def page(user: User, job: Job) -> str:
        client.force_login(user)
        return client.post(f"{job.get_absolute_url()}retry/", follow=True).text

    assert "The job goes on" in page(alice, first)
    assert "too often" in page(alice, second)
    token = tokens.make(alice, "mine", None)[1]
    api = f"/api/v1/jobs/{second.pk}/retry"
    assert (
        client.post(api, headers={"Authorization": f"Bearer {token}"}).status_code
        == 429
    )
    assert "The job goes on" in page(admin_user, second)


@pytest.mark.django_db
def test_a_film_that_its_owner_spoiled_counts_once_it_was_converted(
    alice, frames, picture
):
    job = being_cut(alice)
    assert charged(job, 60)
    ledger.record_plan(job, {}, picture, "mp4", 2)
    cut(job, frames)
    error = StereoSpotError(ErrorCode.TRUNCATED, "The film is cut off.")
    ledger.fail_segment(ledger.claim_segment(job.pk, 0), error)

    assert minutes_of(alice) == 60


@pytest.mark.django_db
@pytest.mark.parametrize("stop", [ledger.cancel, ledger.delete])
def test_deleting_gives_nothing_back_but_before_conversion(
    alice, frames, picture, stop
):
    early, late = being_cut(alice), being_cut(alice)
    assert charged(early, 20)
    assert charged(late, 30)
    ledger.record_plan(late, {}, picture, "mp4", 2)
    cut(late, frames)

    stop(early.pk), stop(late.pk)

    assert minutes_of(alice) == 30


@pytest.mark.django_db
def test_the_minutes_outlive_the_row_of_their_film(job, alice):
    Charge.objects.create(owner=alice, job_id=job.pk, seconds=60)
    job.segments.all().delete()
    Job.objects.filter(pk=job.pk).delete()

    assert minutes_of(alice) == 1


@pytest.mark.django_db
def test_a_new_month_begins_with_nothing(alice):
    assert charged(being_cut(alice), 90)
    month = now().replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    Charge.objects.update(at=month - timedelta(seconds=1))

    assert minutes_of(alice) == 0
    assert ledger.quota_of(alice).renewed_at.day == 1
    assert ledger.quota_of(alice).renewed_at > datetime.now(UTC)


@pytest.mark.django_db
def test_one_person_may_have_more_or_less_than_others(alice, charlie):
    Account.objects.create(user=alice, films_at_once=1)
    Account.objects.create(user=charlie, films_at_once=0)

    assert [create(alice) for _ in range(2)] == [True, False]
    with pytest.raises(StereoSpotError, match="You may not convert films here"):
        ledger.create(film(charlie))


@pytest.mark.django_db
def test_staff_has_no_quota_unless_one_is_set(alice):
    alice.is_staff = True
    alice.save()
    assert [create(alice) for _ in range(4)] == [True] * 4

    Account.objects.update(films_at_once=4)

    assert not create(alice)


@pytest.mark.django_db
def test_the_new_page_says_what_is_left_before_anything_is_chosen(client, alice):
    charged(being_cut(alice), 58.5)
    client.force_login(alice)

    page = client.get("/jobs/new/").text

    assert "You have 1 of 2 films in work." in page
    assert "41.5 of 100 film minutes are left until 1 " in page


@pytest.mark.django_db
def test_the_new_page_says_at_once_that_no_more_are_allowed(client, alice):
    create(alice), create(alice)
    client.force_login(alice)

    assert "which is as many as you may have at once" in client.get("/jobs/new/").text


@pytest.mark.django_db
def test_deciding_takes_the_same_few_questions_whatever_there_is(
    alice, django_assert_max_num_queries
):
    Job.objects.bulk_create(
        film(alice, status="cancelled", finished_at=now()) for _ in range(50)
    )

    with django_assert_max_num_queries(10):
        ledger.create(film(alice))


@pytest.mark.django_db
def test_staff_gives_one_person_more_in_the_admin(client, admin_user, alice):
    create(alice), create(alice)
    client.force_login(admin_user)
    more = {"user": alice.pk, "films_at_once": 3, "minutes_a_month": ""}

    Account.objects.all().delete()
    assert client.post("/admin/jobs/account/add/", more).status_code == 302

    assert "2 in work, 0 min this month" in client.get("/admin/jobs/account/").text
    assert [create(alice) for _ in range(2)] == [True, False]
