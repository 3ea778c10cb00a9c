"""A film that is made of a prompt: from the wish to the work, and the competition for it."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.db import IntegrityError
from django.urls import reverse
from django.utils.timezone import now

from apps.jobs import ledger, linking
from apps.jobs.ledger import Refused
from apps.jobs.models import Charge, Event, Invocation, Job
from apps.jobs.names import download_name
from apps.jobs.views.progress import Progress
from apps.pipeline import fleet, messages, retrying
from contract.errors import ErrorCode, StereoSpotError
from contract.generation import ClipWish, Generated
from contract.origins import Link
from tests.concurrency import at_once

WISH = ClipWish(prompt="a red ball rolls on the sea", seconds=2, width=640, height=720)
CLIP = Generated(frames=49, seconds=70.0, version="wan-1")
OPERATORS = StereoSpotError(ErrorCode.WEIGHTS_FORBIDDEN, "The hub refuses.")
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def sent(monkeypatch, settings) -> list[str]:
    """The stages that were asked for."""
    settings.PROMPTS = True
    stages: list[str] = []
    monkeypatch.setattr(messages, "send_stage", lambda job: stages.append(job.status))
    return stages


def begun(alice, **fields) -> Job:
    return linking.begin_prompt(Job(owner=alice, **{"mode": "sbs"} | fields), WISH)


def claimed(job: Job) -> Job:
    mine = ledger.claim_stage(job.pk, Job.Status.INGESTING)
    assert isinstance(mine, Job)
    return mine


def finish(job: Job) -> bool:
    picture = job.get_prompt().generation("file:///clip.mp4").picture
    return ledger.finish_generate(job, CLIP, picture)


@pytest.fixture
def making(alice) -> Job:
    return claimed(begun(alice))


@pytest.fixture
def flat(alice) -> Job:
    return claimed(begun(alice, mode="flat"))


def status(job: Job) -> str:
    job.refresh_from_db()
    return job.status


# --- The ledger --------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_clip_is_made_by_one_of_eight_workers(alice):
    job = begun(alice)

    claims = at_once([lambda: ledger.claim_stage(job.pk, Job.Status.INGESTING)] * 8)

    assert claims.count(Refused.TAKEN) == 7


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("mode", ["sbs", "flat"])
def test_finishing_and_cancelling_at_once_leave_one_truth(alice, mode):
    for _ in range(5):
        job = claimed(begun(alice, mode=mode))

        finished, cancelled = at_once(
            [lambda job=job: finish(job), lambda job=job: ledger.cancel(job.pk)]
        )

        made = Event.objects.filter(job=job, kind="generated").count()
        assert made == int(finished)
        if mode == "sbs":
            assert (cancelled, status(job)) == (True, "cancelled")
        else:
            assert status(job) == ("cancelled" if cancelled else "completed")
            assert finished != cancelled


@pytest.mark.django_db(transaction=True)
def test_clips_and_segments_share_the_places_of_a_gpu(job, making, settings):
    settings.INFERENCE_MAX_IN_FLIGHT = 1
    segment = ledger.claim_segment(job.pk, 1)

    def open_one(owner) -> Invocation | None:
        return ledger.open_invocation(owner, backend="http", lasting=HOUR)

    for _ in range(10):
        opened = at_once([lambda: open_one(segment), lambda: open_one(making)] * 2)
        assert len({each.pk for each in opened if each}) == 1
        Invocation.objects.all().delete()


def test_a_clip_is_the_source_that_is_cut_next(making):
    assert finish(making)

    assert status(making) == Job.Status.CHUNKING
    assert making.clip["version"] == "wan-1"
    assert making.source_key.endswith("/source.mp4")
    # Asked again, because the answer was lost, it is the same.
    assert finish(making)


def test_where_only_the_clip_is_wanted_the_job_ends_with_it(flat):
    assert finish(flat)

    assert status(flat) == Job.Status.COMPLETED
    assert flat.final_key.endswith("/final.mp4")
    assert download_name(flat) == "a red ball rolls on the sea.mp4"
    assert finish(flat)
    assert Event.objects.filter(job=flat, kind="completed").count() == 1


@pytest.mark.parametrize("origin", [None, Link(url="https://films.example/a.mp4")])
def test_nothing_but_a_clip_can_be_flat(alice, origin):
    origin = origin and origin.model_dump(mode="json")

    with pytest.raises(IntegrityError, match="job_flat_only_of_a_prompt"):
        Job.objects.create(owner=alice, title="Rain", mode="flat", origin=origin)


def test_a_film_that_was_never_cut_is_not_completed(making):
    with pytest.raises(IntegrityError, match="job_cut_before_converted"):
        Job.objects.filter(pk=making.pk).update(
            status="completed",
            finished_at=now(),
            lease_expires_at=None,
            notify_at=None,
        )


def test_the_late_clip_of_a_lost_worker_changes_nothing(making):
    expired = now() - timedelta(seconds=1)
    Job.objects.filter(pk=making.pk).update(lease_expires_at=expired)
    ledger.expire_stage(making.pk)
    claimed(making)

    assert not finish(making)
    assert status(making) == Job.Status.INGESTING


def test_a_clip_whose_turn_has_not_come_waits_at_no_failed_attempt(making):
    assert ledger.pause_stage(making, seconds=15)

    making.refresh_from_db()
    assert (making.lease_expires_at, making.failures) == (None, 0)
    assert not ledger.pause_stage(making, seconds=15)
    assert claimed(making).attempt == 2


def test_a_retry_makes_again_what_is_not_there(making):
    ledger.fail_stage(making, OPERATORS)
    assert status(making) == Job.Status.FAILED

    again = retrying.retry(making.pk)

    assert (again.status, again.attempt) == (Job.Status.INGESTING, making.attempt + 1)


def test_a_clip_that_was_made_counts_whatever_becomes_of_it(flat, alice):
    assert ledger.charge(flat, flat.get_prompt().seconds)
    finish(flat)

    ledger.delete(flat.pk)

    assert ledger.quota_of(alice).seconds == pytest.approx(49 / 24)


def test_a_clip_that_is_not_wanted_before_it_is_made_counts_for_nothing(making, alice):
    assert ledger.charge(making, making.get_prompt().seconds)
    ledger.cancel(making.pk)

    assert Charge.objects.get().returned_at is not None
    assert ledger.quota_of(alice).seconds == 0


# --- What is asked for -------------------------------------------------------------


def test_a_wish_becomes_a_size_and_a_number_of_frames_that_can_be_made(making, sent):
    prompt = making.get_prompt()

    assert (prompt.width, prompt.height, prompt.frames) == (640, 704, 49)
    assert (prompt.wish.height, prompt.seconds) == (720, 49 / 24)
    assert making.title == "a red ball rolls on the sea"


def test_a_seed_that_nobody_says_is_drawn_and_kept(alice):
    seeds = {begun(alice).get_prompt().seed for _ in range(5)}
    said = WISH.model_copy(update={"seed": 2**63 - 1})

    job = linking.begin_prompt(Job(owner=alice, mode="sbs"), said)

    assert len(seeds) == 5
    job.refresh_from_db()
    assert job.get_prompt().seed == 2**63 - 1


def test_the_same_request_again_is_the_same_clip_though_the_seed_was_drawn(alice):
    key = uuid4()

    first, again = (begun(alice, request_id=key) for _ in range(2))

    assert first == again
    assert Job.objects.count() == 1


def test_a_long_prompt_has_a_short_title(alice):
    wish = ClipWish(prompt="rain on the sea " * 50)

    job = linking.begin_prompt(Job(owner=alice, mode="sbs"), wish)

    assert job.title == "rain on the sea rain on the sea rain on the sea rain on the…"


def test_where_no_clips_are_made_there_is_no_job(alice, settings, sent):
    settings.PROMPTS = False

    with pytest.raises(StereoSpotError) as refused:
        begun(alice)

    assert refused.value.code is ErrorCode.PROMPT_REFUSED
    assert (Job.objects.count(), sent) == (0, [])


# --- What people and operators see -------------------------------------------------


def steps(job: Job) -> list[tuple[str, str]]:
    job.refresh_from_db()
    return [(step.name, step.state) for step in Progress.of(job).steps]


def test_the_page_tells_of_generating_where_others_tell_of_an_upload(making):
    assert Progress.of(making).sentence == "Generating the clip."
    assert steps(making)[:2] == [("Generate", "current"), ("Cut", "todo")]

    finish(making)

    assert steps(making)[:2] == [("Generate", "done"), ("Cut", "current")]


def test_the_page_says_when_a_clip_waits_for_a_gpu(making):
    ledger.open_invocation(making, backend="http", lasting=HOUR)

    assert Progress.of(making).sentence == "Waiting for a GPU."


def test_the_page_of_a_clip_shows_it_as_it_is_and_says_how_to_make_it_again(
    flat, client, alice, monkeypatch
):
    monkeypatch.setattr("apps.jobs.views.jobs.size_of_final", lambda job: 1)
    assert steps(flat) == [("Generate", "current"), ("Done", "todo")]
    finish(flat)
    client.force_login(alice)

    page = client.get(reverse("job", args=[flat.pk])).text

    assert steps(flat) == [("Generate", "done"), ("Done", "done")]
    assert f"seed {flat.get_prompt().seed} ·" in page
    assert "640 × 704 (asked for: 640 × 720)" in page
    assert "<video controls" in page
    assert 'id="player"' not in page
    assert "max disparity" not in page


def test_who_recovers_a_clip_is_told_that_it_is_made_again(alice, sent, capsys):
    job = begun(alice)
    sent.clear()

    call_command("recover_chunking", str(job.pk))

    assert "making it was sent again" in capsys.readouterr().out
    assert sent == ["ingesting"]


def test_a_clip_waits_in_the_queue_of_the_gpu(alice):
    begun(alice)

    queues = {queue.name: queue for queue in fleet.queues()}

    assert queues["gpu"].oldest is not None
    assert queues["media"].oldest is None


def test_a_clip_in_hand_is_work_of_the_gpu(making):
    ledger.open_invocation(making, backend="http", lasting=HOUR)

    side = fleet.gpu_side()

    assert (side.running, side.asked, side.waiting) == (1, 1, 1)


def test_what_was_asked_for_of_a_clip_is_wanted_until_its_job_is_stopped(making):
    opened = ledger.open_invocation(making, backend="http", lasting=HOUR)
    assert ledger.unwanted_invocations(9) == []
    assert ledger.is_wanted(making)

    ledger.cancel(making.pk)

    assert ledger.unwanted_invocations(9) == [opened]
    assert not ledger.is_wanted(making)


def test_a_clip_that_an_endpoint_has_made_meanwhile_is_fetched_soon(making):
    opened = ledger.open_invocation(making, backend="sagemaker", lasting=HOUR)
    ledger.note_accepted(opened, "s3://b/ok", "s3://b/no", expires_at=now() + HOUR)
    assert ledger.unattended_invocations(9) == []
    assert ledger.hasten_clip(making.pk) is None

    ledger.pause_stage(making, seconds=600)

    assert ledger.unattended_invocations(9) == [opened]
    assert ledger.hasten_clip(making.pk) == making
    assert ledger.hasten_clip(making.pk) is None
