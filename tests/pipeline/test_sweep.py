"""What the sweep finds: each state that should have a message or a living lease."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.core.files.base import ContentFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now

from apps.jobs import ledger, storage
from apps.jobs.models import Job, Segment
from apps.pipeline import messages, sweep

LONG_AGO = timedelta(hours=1)
JUST_DUE = timedelta(seconds=1)


class Outbox:
    """What would have been sent, in words."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.waiting = 0


@pytest.fixture(autouse=True)
def calm(monkeypatch) -> None:
    """The database has been there for long."""
    monkeypatch.setattr(sweep, "_ended", None)
    monkeypatch.setattr(sweep, "_is_shaken", lambda: False)


@pytest.fixture(autouse=True)
def outbox(monkeypatch) -> Outbox:
    box = Outbox()
    note = box.sent.append
    monkeypatch.setattr(
        messages, "send_stage", lambda job, pause=0: note(f"{job.status}+{pause}")
    )
    monkeypatch.setattr(
        messages,
        "send_segment",
        lambda job_id, index, attempt, pause=0: note(f"infer {index}+{pause}"),
    )
    monkeypatch.setattr(messages, "send_tidy", lambda job_id: note("tidy"))
    monkeypatch.setattr(messages, "waiting", lambda queue: box.waiting)
    return box


def due(job: Job, ago: timedelta) -> None:
    job.segments.filter(status="pending").update(notify_at=now() - ago)


def test_a_job_that_is_well_is_left_alone(job, outbox):
    ledger.claim_segment(job.pk, 1)

    assert not any(sweep.sweep().values())
    assert outbox.sent == []


def test_a_segment_whose_message_was_lost_is_sent_again_once(job, outbox):
    due(job, JUST_DUE)

    sweep.sweep()
    sweep.sweep()

    assert outbox.sent == ["infer 1+0", "infer 2+0"]


def test_after_a_machine_has_begun_afresh_everything_is_sent_at_once(job, outbox):
    ledger.claim_segment(job.pk, 1)
    ledger.begin_afresh()

    sweep.sweep()

    assert outbox.sent == ["infer 1+0", "infer 2+0"]


def test_messages_that_all_wait_in_a_busy_queue_are_not_lost(job, outbox):
    outbox.waiting = 2
    due(job, LONG_AGO)

    sweep.sweep()

    assert outbox.sent == []


def test_a_next_attempt_is_not_lost_behind_a_full_queue(job, outbox):
    outbox.waiting = 3
    due(job, LONG_AGO)
    job.segments.filter(index=1).update(attempt=1)

    sweep.sweep()

    assert outbox.sent == ["infer 1+0"]


def test_a_crowded_queue_gets_no_more_messages(job, outbox):
    outbox.waiting = 5
    due(job, LONG_AGO)
    job.segments.update(attempt=1)

    sweep.sweep()

    assert outbox.sent == []


def test_a_queue_that_holds_too_few_gets_time_before_they_are_sent_again(job, outbox):
    outbox.waiting = 1
    due(job, JUST_DUE)

    sweep.sweep()

    assert outbox.sent == []


def test_patience_with_a_queue_that_holds_too_few_ends(job, outbox):
    outbox.waiting = 1
    due(job, LONG_AGO)

    sweep.sweep()

    assert outbox.sent == ["infer 1+0", "infer 2+0"]


def test_a_segment_whose_worker_died_is_sent_again_after_a_pause(job, outbox, settings):
    segment = ledger.claim_segment(job.pk, 1)
    Segment.objects.filter(pk=segment.pk).update(lease_expires_at=now() - JUST_DUE)

    sweep.sweep()

    assert outbox.sent == [f"infer 1+{settings.RETRY_PAUSES[0]}"]


def test_after_an_outage_those_who_live_get_time_to_renew_their_leases(
    job, outbox, monkeypatch
):
    segment = ledger.claim_segment(job.pk, 1)
    Segment.objects.filter(pk=segment.pk).update(lease_expires_at=now() - JUST_DUE)
    monkeypatch.setattr(sweep, "_is_shaken", lambda: True)

    sweep.sweep()

    assert outbox.sent == []
    assert ledger.renew_segment(segment, frames_done=1) is True


@pytest.mark.parametrize(
    ("ended", "is_shaken"), [(None, False), (10.0, False), (60.0, True)]
)
def test_a_round_that_comes_late_was_kept_from_it_by_an_outage(
    job, settings, monkeypatch, ended, is_shaken
):
    monkeypatch.undo()
    settings.LEASE_SECONDS, settings.SWEEP_SECONDS = 0.001, 30
    at = None if ended is None else time.monotonic() - ended
    monkeypatch.setattr(sweep, "_ended", at)

    assert sweep._is_shaken() is is_shaken


def test_a_database_that_has_just_started_was_away(job, settings, monkeypatch):
    monkeypatch.undo()
    settings.LEASE_SECONDS = 24 * 3600

    assert sweep._is_shaken() is True


def test_a_segment_that_killed_its_last_worker_fails_the_job(job, outbox, settings):
    segment = ledger.claim_segment(job.pk, 1)
    Segment.objects.filter(pk=segment.pk).update(
        lease_expires_at=now() - JUST_DUE, failures=settings.MAX_ATTEMPTS - 1
    )

    sweep.sweep()

    job.refresh_from_db()
    assert job.status == Job.Status.FAILED
    assert outbox.sent == []


def test_a_job_whose_segments_are_all_done_goes_on_to_the_concat(job, outbox):
    job.segments.update(status="done", seconds=1.0, notify_at=None)

    sweep.sweep()

    job.refresh_from_db()
    assert job.status == Job.Status.REASSEMBLING
    assert outbox.sent == ["reassembling+0"]


@pytest.mark.parametrize(
    "status", ["ingesting", "chunking_in_progress", "reassembling"]
)
def test_a_stage_whose_message_was_lost_is_sent_again_once(job, outbox, status):
    Job.objects.update(status=status, notify_at=now() - JUST_DUE)

    sweep.sweep()
    sweep.sweep()

    assert outbox.sent == [f"{status}+0"]


@pytest.mark.parametrize(("ago", "sent"), [(JUST_DUE, 0), (LONG_AGO, 1)])
def test_what_else_waits_in_its_queue_hides_no_lost_message_of_a_stage(
    job, outbox, ago, sent
):
    outbox.waiting = 2
    Job.objects.update(status="reassembling", notify_at=now() - ago)

    sweep.sweep()

    assert len(outbox.sent) == sent


def test_stages_that_wait_in_a_crowded_queue_are_not_sent_again_and_again(job, outbox):
    outbox.waiting = 3
    Job.objects.update(status="reassembling", notify_at=now() - LONG_AGO)

    sweep.sweep()

    assert outbox.sent == []


@pytest.mark.parametrize(
    "status", ["ingesting", "chunking_in_progress", "reassembling"]
)
def test_a_stage_whose_worker_died_is_sent_again_after_a_pause(
    job, outbox, settings, status
):
    Job.objects.update(status=status)
    ledger.claim_stage(job.pk, Job.Status(status))
    Job.objects.update(lease_expires_at=now() - JUST_DUE)

    sweep.sweep()

    assert outbox.sent == [f"{status}+{settings.RETRY_PAUSES[0]}"]


@pytest.mark.parametrize("status", ["completed", "cancelled", "deleted"])
def test_a_job_that_is_over_is_tidied_and_its_message_gets_time(job, outbox, status):
    Job.objects.update(
        status=status, finished_at=now(), notify_at=None, tidy_at=now() - JUST_DUE
    )

    sweep.sweep()
    sweep.sweep()

    assert outbox.sent == ["tidy"]


def test_a_request_to_tidy_up_that_waits_for_long_is_not_made_again_and_again(
    job, outbox
):
    late = now() - JUST_DUE
    Job.objects.update(
        status="completed", finished_at=late, notify_at=None, tidy_at=late
    )

    sweep.sweep()

    job.refresh_from_db()
    assert job.tidy_at > now() + timedelta(minutes=9)


def test_a_source_that_arrived_unreported_is_started(alice, outbox):
    arrived = Job.objects.create(owner=alice, title="Snow", mode="sbs")
    coming = Job.objects.create(owner=alice, title="Hail", mode="sbs")
    storage.source().save(arrived.source_key, ContentFile(b"film"))
    Job.objects.update(created_at=now() - LONG_AGO)

    sweep.sweep()

    arrived.refresh_from_db()
    coming.refresh_from_db()
    assert (arrived.status, coming.status) == ("chunking_in_progress", "created")
    assert outbox.sent == ["chunking_in_progress+0"]


def test_a_source_that_never_came_ends_the_job(alice, outbox):
    job = Job.objects.create(owner=alice, title="Snow", mode="sbs")
    Job.objects.update(created_at=now() - sweep.UPLOAD - JUST_DUE)

    sweep.sweep()

    job.refresh_from_db()
    assert (job.status, job.error_code) == ("failed", "source-missing")


def test_a_job_that_makes_trouble_does_not_hide_the_others(
    job, alice, outbox, monkeypatch
):
    def send_stage(troubled: Job, pause: int = 0) -> None:
        if troubled.pk == job.pk:
            raise ConnectionError
        outbox.sent.append(str(troubled.pk))

    monkeypatch.setattr(messages, "send_stage", send_stage)
    other = Job.objects.create(owner=alice, title="Hail", mode="sbs")
    ledger.start(other.pk)
    Job.objects.filter(pk=job.pk).update(
        status="reassembling", notify_at=now() - LONG_AGO
    )
    Job.objects.filter(pk=other.pk).update(notify_at=now() - JUST_DUE)

    sweep.sweep()

    assert outbox.sent == [str(other.pk)]


def test_a_queue_that_does_not_answer_does_not_hide_what_else_is_found(
    job, outbox, monkeypatch
):
    def waiting(queue: str) -> int:
        raise ConnectionError

    monkeypatch.setattr(messages, "waiting", waiting)
    segment = ledger.claim_segment(job.pk, 1)
    Segment.objects.filter(pk=segment.pk).update(lease_expires_at=now() - JUST_DUE)

    found = sweep.sweep()

    assert found["segments whose worker was lost"] == 1


def test_a_pause_before_the_next_attempt_is_no_lost_message(job, outbox):
    Segment.objects.filter(job=job, index=1).update(notify_at=now() + LONG_AGO)
    outbox.waiting = 1
    job.segments.filter(index=2).update(notify_at=now() - LONG_AGO)

    sweep.sweep()

    assert outbox.sent == []


@pytest.mark.django_db(transaction=True)
def test_one_sweep_at_a_time(job, outbox):
    due(job, JUST_DUE)

    def swept_elsewhere() -> dict[str, int]:
        try:
            return sweep.sweep()
        finally:
            connection.close()

    with sweep._alone() as alone, ThreadPoolExecutor(1) as pool:
        assert alone
        assert pool.submit(swept_elsewhere).result() == {}
    assert outbox.sent == []


def test_no_look_of_the_sweep_reads_a_whole_table(job, monkeypatch):
    """With sequential scans made dear, what is left of them has no index."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
    with CaptureQueriesContext(connection) as queries:
        sweep.sweep()

    reads = [q["sql"] for q in queries if q["sql"].startswith("SELECT")]
    for sql in (s for s in reads if '"jobs_' in s or '"pipeline_' in s):
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN {sql}")
            plan = "\n".join(line for (line,) in cursor.fetchall())
        assert "Seq Scan" not in plan, plan


def test_a_sweep_costs_the_same_for_two_lost_segments_and_for_many(
    job, frames, outbox, django_assert_num_queries
):
    due(job, JUST_DUE)
    with CaptureQueriesContext(connection) as few:
        sweep.sweep()
    outbox.sent.clear()
    for index in range(3, 33):
        Segment.objects.create(
            job=job, index=index, frames=frames.model_dump(mode="json"), frame_count=25
        )
    due(job, JUST_DUE)

    with django_assert_num_queries(len(few)):
        sweep.sweep()
    assert len(outbox.sent) == 32
