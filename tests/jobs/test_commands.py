"""What operators ask for on the command line, and what they are told."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO
from uuid import uuid4

import pytest
from botocore.exceptions import EndpointConnectionError
from django.core.management import CommandError, call_command
from django.utils.timezone import now

from apps.jobs import ledger, storage
from apps.jobs.models import DeadLetter, Job, Segment
from apps.pipeline import dead_letters, messages
from contract.errors import ErrorCode, StereoSpotError
from contract.keys import segments_prefix

AWAY = EndpointConnectionError(endpoint_url="https://sqs")


@pytest.fixture(autouse=True)
def sent(monkeypatch) -> list[str]:
    """What went out, in words."""
    words: list[str] = []
    note = words.append
    monkeypatch.setattr(messages, "send_stage", lambda job: note(job.status))
    monkeypatch.setattr(messages, "send_retry", lambda job: note(f"retry {job.status}"))
    monkeypatch.setattr(
        messages,
        "send_segment",
        lambda job_id, index, *, attempt: note(f"infer {index}"),
    )

    def redrive(letter_id: int) -> bool:
        changed = ledger.settle(letter_id, DeadLetter.Status.REDRIVEN)
        if changed:
            note(f"letter {letter_id}")
        return changed

    monkeypatch.setattr(dead_letters, "redrive", redrive)
    return words


@pytest.fixture
def away(monkeypatch) -> None:
    """SQS does not answer."""

    def refuse(*args: object, **options: object) -> None:
        raise AWAY

    for name in ("send_stage", "send_retry", "send_segment"):
        monkeypatch.setattr(messages, name, refuse)


def told(*command: object) -> str:
    out = StringIO()
    call_command(*map(str, command), stdout=out)
    return out.getvalue()


def bury(job: Job | None = None) -> DeadLetter:
    return DeadLetter.objects.create(
        queue="gpu",
        message_id=str(uuid4()),
        job=job,
        deliveries=6,
        reason="not JSON",
        sent_at=now(),
    )


def stage(job: Job, status: str, *, seconds: int | None) -> None:
    """The job in a stage, with a lease that ends in so many seconds."""
    lease = None if seconds is None else now() + timedelta(seconds=seconds)
    Job.objects.filter(pk=job.pk).update(status=status, lease_expires_at=lease)


def fail(job: Job) -> None:
    segment = ledger.claim_segment(job.pk, 1)
    ledger.fail_segment(segment, StereoSpotError(ErrorCode.DISK_FULL, "Free space."))


# --- redrive ----------------------------------------------------------------------


def test_redrive_sends_every_waiting_letter_once(db, sent):
    first, second = bury(), bury()
    ledger.settle(bury().pk, DeadLetter.Status.DISCARDED)

    assert "2 messages that the queue had given up went out again." in told("redrive")
    assert "Nothing was to be sent" in told("redrive")
    assert sent == [f"letter {first.pk}", f"letter {second.pk}"]


def test_redrive_sends_what_no_worker_has_in_hand(job, sent):
    ledger.claim_segment(job.pk, 1)

    assert f"“Rain” ({job.pk}): sent 1 message again." in told("redrive")
    assert sent == ["infer 2"]


def test_redrive_sends_what_a_dead_worker_had(job, sent):
    ledger.claim_segment(job.pk, 1)
    Segment.objects.filter(index=1).update(lease_expires_at=now())

    assert "sent 2 messages again" in told("redrive", job.pk)
    assert sent == ["infer 1", "infer 2"]


def test_what_redrive_sent_the_sweep_does_not_send_again_at_once(job):
    job.segments.filter(status="pending").update(notify_at=now())

    told("redrive", job.pk)

    assert not job.segments.filter(status="pending", notify_at__lte=now()).exists()


@pytest.mark.parametrize("status", ["chunking_in_progress", "reassembling"])
@pytest.mark.parametrize(("seconds", "again"), [(None, 1), (-1, 1), (30, 0)])
def test_redrive_sends_a_stage_unless_a_worker_has_it(
    job, sent, status, seconds, again
):
    stage(job, status, seconds=seconds)

    told("redrive", job.pk)

    assert sent == [status] * again


def test_redrive_goes_on_with_a_job_whose_segments_are_all_done(job, sent):
    job.segments.update(status="done", seconds=1.0, notify_at=None)

    told("redrive", job.pk)

    assert sent == ["reassembling"]


def test_redrive_of_one_job_leaves_the_others(job, alice, sent):
    other = Job.objects.create(owner=alice, title="Snow", mode="sbs")
    ledger.start(other.pk)
    bury(job)
    letter = bury(other)

    told("redrive", other.pk)

    assert sent == [f"letter {letter.pk}", "chunking_in_progress"]


@pytest.mark.parametrize("end", [ledger.cancel, fail])
def test_redrive_sends_nothing_for_a_job_that_is_over(job, sent, end):
    end(job.pk if end is ledger.cancel else job)

    assert "Nothing was to be sent" in told("redrive", job.pk)
    assert sent == []


def test_redrive_says_that_the_queue_is_away(job, away):
    with pytest.raises(CommandError, match="does not answer, so run this again"):
        told("redrive")


@pytest.mark.parametrize("command", ["redrive", "recover_chunking"])
@pytest.mark.parametrize("name", ["rain", uuid4()])
def test_a_job_that_is_unknown_is_refused_with_advice(db, command, name):
    with pytest.raises(CommandError, match="address of the job's page"):
        told(command, name)


@pytest.mark.parametrize("command", ["redrive", "recover_chunking"])
def test_a_job_that_is_deleted_is_refused_with_advice(job, sent, command):
    ledger.delete(job.pk)

    with pytest.raises(CommandError, match="“Rain” is deleted: convert the film anew"):
        told(command, job.pk)
    assert sent == []


# --- recover_chunking -------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("created", "waits for its film"),
        ("completed", "is completed"),
        ("cancelled", "is cancelled"),
    ],
)
def test_recover_refuses_what_there_is_nothing_to_recover_of(job, sent, status, reason):
    over = None if status == "created" else now()
    Job.objects.update(status=status, notify_at=None, finished_at=over)

    with pytest.raises(CommandError, match=reason):
        told("recover_chunking", job.pk)
    assert sent == []


def test_recover_retries_a_job_that_failed(job, sent):
    fail(job)

    assert "goes on from what is done" in told("recover_chunking", job.pk)
    assert sent == ["retry chunking_complete"]


def test_recover_cuts_a_failed_job_again_where_its_segments_are_gone(job, sent):
    fail(job)
    storage.source().delete_prefix(segments_prefix(job.pk))

    assert "is cut again" in told("recover_chunking", job.pk)
    assert sent == ["retry chunking_in_progress"]


@pytest.mark.parametrize("status", ["chunking_in_progress", "reassembling"])
def test_recover_leaves_a_job_that_a_worker_has(job, sent, status):
    stage(job, status, seconds=30)

    assert "a worker is at it; nothing was changed" in told("recover_chunking", job.pk)
    assert sent == []
    job.refresh_from_db()
    assert job.status == status


@pytest.mark.parametrize("seconds", [None, -1])
def test_recover_sends_cutting_again_that_nobody_does(job, sent, seconds):
    stage(job, "chunking_in_progress", seconds=seconds)

    assert "cutting was sent again" in told("recover_chunking", job.pk)
    assert sent == ["chunking_in_progress"]


def test_recover_finds_that_nothing_is_missing(job, sent):
    storage.source().delete(job.segments.get(index=0).source_key)  # it is done

    assert "nothing is missing" in told("recover_chunking", job.pk)
    assert sent == []
    assert job.segments.count() == 3


def test_recover_has_nothing_to_do_where_all_is_converted(job, sent):
    stage(job, "reassembling", seconds=None)

    assert "every segment is converted" in told("recover_chunking", job.pk)
    assert sent == []


def test_recover_cuts_again_what_is_gone(job, sent):
    storage.source().delete(job.segments.get(index=2).source_key)

    answer = told("recover_chunking", job.pk)

    assert "1 segment was missing from the store, so the film is cut again." in answer
    assert sent == ["chunking_in_progress"]
    job.refresh_from_db()
    assert (job.status, job.attempt) == (Job.Status.CHUNKING, 2)
    assert job.segments.count() == 0
    assert job.events.get().kind == "recut"


def test_who_converts_a_segment_hears_that_the_film_is_cut_again(job):
    segment = ledger.claim_segment(job.pk, 1)

    assert ledger.recut(job.pk).status == Job.Status.CHUNKING

    assert not ledger.renew_segment(segment, frames_done=1)
    late = ledger.finish_segment(segment, seconds=1.0, version="1")
    assert late is ledger.Refused.TAKEN
    assert ledger.recut(job.pk) is None


def test_recover_says_that_the_store_is_away(job, monkeypatch):
    def refuse(prefix: str) -> set[str]:
        raise AWAY

    monkeypatch.setattr(storage.source(), "keys", refuse)

    with pytest.raises(CommandError, match=r"\[storage\]"):
        told("recover_chunking", job.pk)


def test_recover_says_that_the_queue_is_away(job, away):
    storage.source().delete_prefix(segments_prefix(job.pk))

    with pytest.raises(CommandError, match="the sweep sends it once it does"):
        told("recover_chunking", job.pk)
    job.refresh_from_db()
    assert job.status == Job.Status.CHUNKING


# --- sweep ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "sentences"),
    [
        ({}, "Another sweep is at work; nothing done.\n"),
        ({"jobs to tidy": 0}, "Nothing was lost.\n"),
        (
            {"jobs to tidy": 1, "stages whose message was lost": 0, "segments gone": 2},
            "Found 1 job to tidy.\nFound 2 segments gone.\n",
        ),
    ],
)
def test_sweep_says_what_it_found(monkeypatch, found, sentences):
    monkeypatch.setattr("apps.jobs.management.commands.sweep.sweep", lambda: found)

    assert told("sweep") == sentences
