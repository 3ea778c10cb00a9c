"""Tasks of Story IV in the ledger: begun once, as far as their jobs are, handed over once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from threading import Barrier
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.utils.timezone import now

from apps.jobs import ledger
from apps.jobs.ledger import following, rows
from apps.jobs.models import Job, VideoTask
from contract.errors import ErrorCode, StereoSpotError
from contract.generation import ClipWish
from contract.modes import FLAT
from contract.origins import Prompt
from tests.clips import claim, complete, finish
from tests.concurrency import at_once

OURS = StereoSpotError(ErrorCode.MISCONFIGURED, "There are no weights.")
URLS = ["s3://films/story/task.mp4"]


def a_job(owner: User) -> Job:
    origin = Prompt.of(ClipWish(prompt="a red ball rolls")).model_dump(mode="json")
    return Job(owner=owner, title="Ball", mode=FLAT, origin=origin)


def a_task(**fields: object) -> VideoTask:
    return VideoTask(**{"parent_id": "story", "task_id": "task", **fields})


def begun(owner: User, clips: int) -> VideoTask:
    task = a_task()
    assert ledger.begin_video_task(task, [a_job(owner) for _ in range(clips)])
    return task


@pytest.fixture
def task(alice) -> VideoTask:
    return begun(alice, 1)


@pytest.fixture
def pair(alice) -> VideoTask:
    """It has two clips."""
    return begun(alice, 2)


def jobs_of(task: VideoTask) -> Sequence[Job]:
    return [clip.job for clip in task.clips.select_related("job") if clip.job]


def status(task: VideoTask) -> str:
    task.refresh_from_db()
    return task.status


def come_due() -> None:
    VideoTask.objects.filter(due_at__isnull=False).update(due_at=now())


# --- Begun once ----------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_the_same_message_eight_times_at_once_is_one_task_with_one_job(alice):
    answers = at_once(
        [lambda: ledger.begin_video_task(a_task(), [a_job(alice)]) for _ in range(8)]
    )

    assert answers.count(True) == 1
    assert VideoTask.objects.get().status == "PENDING"
    assert Job.objects.get().status == Job.Status.INGESTING


def test_a_task_and_its_jobs_are_one_fact(alice, monkeypatch):
    def die(*_: object) -> None:
        raise RuntimeError("the bridge dies here")

    monkeypatch.setattr("apps.jobs.ledger.people.rows.note", die)
    with pytest.raises(RuntimeError):
        ledger.begin_video_task(a_task(), [a_job(alice)])

    assert not VideoTask.objects.exists()
    assert not Job.objects.exists()


def test_what_was_refused_stays_so(alice):
    assert ledger.refuse_video_task(a_task(), "steps: must be a number")

    assert not ledger.begin_video_task(a_task(), [a_job(alice)])
    assert not Job.objects.exists()
    task = VideoTask.objects.get()
    assert (task.status, task.reason) == ("FAILED", "steps: must be a number")


def test_what_was_begun_is_not_refused_later(task):
    assert not ledger.refuse_video_task(a_task(), "prompt: Field required")
    assert status(task) == "PENDING"


def test_a_quota_of_films_at_once_keeps_no_message_back(alice, settings):
    settings.QUOTA_FILMS_AT_ONCE = 0

    assert ledger.begin_video_task(a_task(), [a_job(alice)])


# --- As far as its jobs ----------------------------------------------------------------


def test_a_task_is_in_progress_once_somebody_makes_its_clip(task):
    assert status(task) == "PENDING"
    claim(jobs_of(task)[0])

    assert status(task) == "IN_PROGRESS"
    assert task.revision == 2


def test_a_task_whose_clip_is_made_is_completed_when_the_producer_has_it(task):
    complete(jobs_of(task)[0])
    assert status(task) == "IN_PROGRESS"

    claimed, is_made = ledger.claim_handover(task.pk)
    assert is_made
    completed = ledger.complete_video_task(claimed, URLS)
    assert completed is not None
    assert ledger.note_handed_over(completed)

    assert status(task) == "COMPLETED"
    assert (task.media_urls, task.due_at) == (URLS, None)


def test_a_task_has_failed_when_its_job_has_and_goes_on_when_that_is_retried(task):
    (job,) = jobs_of(task)
    ledger.fail_stage(claim(job), OURS)
    assert status(task) == "FAILED"
    assert task.reason == "misconfigured: There are no weights."

    ledger.retry(job.pk, unfetched=True)

    assert status(task) == "IN_PROGRESS"
    assert task.reason == ""
    assert task.due_at is not None


def test_an_attempt_that_is_tried_again_by_itself_fails_no_task(task):
    passing = StereoSpotError(ErrorCode.STORAGE, "The store is away.")
    assert ledger.fail_stage(claim(jobs_of(task)[0]), passing) is not None

    assert status(task) == "IN_PROGRESS"


@pytest.mark.parametrize(
    ("stop", "why"), [(ledger.cancel, "cancelled"), (ledger.delete, "deleted")]
)
def test_a_job_that_is_stopped_fails_its_task(task, stop, why):
    (job,) = jobs_of(task)
    stop(job.pk)

    assert status(task) == "FAILED"
    assert why in task.reason


def test_a_completed_task_stays_so_whatever_becomes_of_its_job(task):
    (job,) = jobs_of(task)
    complete(job)
    claimed, _ = ledger.claim_handover(task.pk)
    ledger.complete_video_task(claimed, URLS)

    ledger.delete(job.pk)
    job.delete()

    assert status(task) == "COMPLETED"
    assert not ledger.begin_video_task(a_task(), [])


def test_two_clips_are_one_task(pair):
    first, second = jobs_of(pair)
    complete(first)
    assert status(pair) == "IN_PROGRESS"
    claimed, is_made = ledger.claim_handover(pair.pk)
    assert not is_made

    ledger.fail_stage(claim(second), OURS)
    assert status(pair) == "FAILED"
    ledger.retry(second.pk, unfetched=True)
    assert status(pair) == "IN_PROGRESS"
    complete(second)

    # What was found before is void: it did not know of the second clip.
    assert not ledger.note_handed_over(claimed)
    _, is_made = ledger.claim_handover(pair.pk)
    assert is_made


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("round_", range(3))
def test_two_clips_that_are_made_at_the_same_moment_are_handed_over(
    alice, monkeypatch, round_
):
    pair = begun(alice, 2)
    claimed = [claim(job) for job in jobs_of(pair)]
    task, _ = ledger.claim_handover(pair.pk)
    assert ledger.note_handed_over(task)  # the producer knows that it is in progress
    moved = Barrier(2)

    def follow(job_id: UUID) -> None:
        moved.wait()  # neither has committed
        following.follow(job_id)

    monkeypatch.setattr(rows, "follow", follow)
    at_once([lambda job=job: finish(job) for job in claimed])

    assert status(pair) == "IN_PROGRESS"
    _, is_made = ledger.claim_handover(pair.pk)
    assert is_made


# --- Handed over -----------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_of_eight_who_want_to_hand_over_one_may(task):
    claimed = at_once([lambda: ledger.claim_handover(task.pk)] * 8)

    assert len([each for each in claimed if each]) == 1


def test_who_dies_while_handing_over_is_followed_by_another(task):
    first, _ = ledger.claim_handover(task.pk)
    assert ledger.claim_handover(task.pk) is None
    come_due()
    second, _ = ledger.claim_handover(task.pk)

    assert not ledger.note_handed_over(first)
    assert not ledger.note_not_handed_over(first, "late")
    assert ledger.note_handed_over(second)


def test_what_changes_while_it_is_handed_over_is_due_again(task):
    (job,) = jobs_of(task)
    claim(job)
    claimed, _ = ledger.claim_handover(task.pk)
    ledger.cancel(job.pk)

    assert not ledger.note_handed_over(claimed)
    again, _ = ledger.claim_handover(task.pk)
    assert again.status == "FAILED"


def test_a_clip_that_is_made_while_the_status_is_handed_over_follows(pair):
    first, second = jobs_of(pair)
    complete(first)
    claimed, is_made = ledger.claim_handover(pair.pk)
    assert not is_made
    complete(second)

    assert not ledger.note_handed_over(claimed)
    _, is_made = ledger.claim_handover(pair.pk)
    assert is_made


def test_a_task_that_fails_while_its_clip_is_copied_is_not_completed(task):
    (job,) = jobs_of(task)
    complete(job)
    claimed, _ = ledger.claim_handover(task.pk)
    ledger.delete(job.pk)

    assert ledger.complete_video_task(claimed, URLS) is None
    assert status(task) == "FAILED"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("round_", range(3))
def test_a_job_that_is_deleted_while_its_task_is_completed_has_one_outcome(
    alice, round_
):
    task = begun(alice, 1)
    (job,) = jobs_of(task)
    complete(job)
    claimed, _ = ledger.claim_handover(task.pk)

    completed, deleted = at_once(
        [
            lambda: ledger.complete_video_task(claimed, URLS),
            lambda: ledger.delete(job.pk),
        ]
    )

    assert deleted
    assert status(task) == ("COMPLETED" if completed else "FAILED")


def test_a_place_that_is_away_is_asked_ever_less_often_and_for_ever(task):
    pauses = []
    for failing_for in (0, 60, 300, 3600 * 24 * 60):
        VideoTask.objects.update(failing_since=now() - timedelta(seconds=failing_for))
        come_due()
        claimed, _ = ledger.claim_handover(task.pk)
        ledger.note_not_handed_over(claimed, "away")
        task.refresh_from_db()
        pauses.append(round((task.due_at - now()).total_seconds()))

    assert pauses == [30, 60, 300, 900]
    assert task.answer == "away"
