"""What queues, workers and the GPU's side are said to be, against what they are."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from botocore.exceptions import EndpointConnectionError
from django.db import connection
from django.utils.timezone import now

from apps.jobs import ledger
from apps.jobs.models import DeadLetter, Event, Job, Segment
from apps.pipeline import fleet, messages, queues
from stereospot.celery import app
from tests.workers.harness import until
from workers.presence import connection_name


@pytest.fixture(autouse=True)
def own_queues(monkeypatch) -> None:
    """Queues of this test's own, which are empty."""
    options = app.conf.broker_transport_options
    prefix = f"fleet-{uuid4().hex[:8]}-"
    monkeypatch.setitem(options, "queue_name_prefix", prefix)
    monkeypatch.setattr(app, "_pool", None)
    monkeypatch.setattr(app.amqp, "_producer_pool", None)


@pytest.fixture
def worker(db) -> Iterator[Any]:
    """A worker's connection, as PostgreSQL sees it."""
    name = connection_name("gpu@box", ["gpu"])
    target = connection.get_connection_params()
    own = {"dbname": target["dbname"], "host": target["host"], "user": target["user"]}
    with psycopg.connect(**own, application_name=name) as held:
        yield held


def figures() -> dict[str, fleet.Queue]:
    return {queue.name: queue for queue in fleet.queues()}


def test_messages_that_wait_are_counted_for_each_queue(job):
    messages.declare_queues()
    for index in (1, 2):
        messages.send_segment(job.pk, index, attempt=0)

    found = figures()

    assert list(found) == ["media", "gpu", "control"]
    assert found["gpu"].counts == queues.Counts(waiting=2, in_flight=0, delayed=0)
    assert found["gpu"].backlog_per_worker == 2
    assert found["media"].backlog_per_worker == 0


def test_queues_that_nobody_has_made_yet_are_empty(db):
    assert figures()["gpu"].counts == queues.Counts(0, 0, 0)


def test_a_queue_that_does_not_answer_hides_only_its_own_figures(job, monkeypatch):
    def away(*args: object) -> None:
        raise EndpointConnectionError(endpoint_url="http://sqs")

    monkeypatch.setattr(queues.Queues, "url", away)
    DeadLetter.objects.create(
        queue="gpu", message_id="1", deliveries=6, reason="given up", sent_at=now()
    )

    gpu = figures()["gpu"]

    assert (gpu.counts, gpu.backlog_per_worker, gpu.dead) == (None, None, 1)


def test_the_oldest_is_the_segment_that_was_sent_first(job):
    job.segments.filter(index=1).update(notify_at=now() - timedelta(seconds=70))

    oldest = figures()["gpu"].oldest

    assert oldest == pytest.approx(70 + ledger.DELIVERY.total_seconds(), abs=5)
    assert figures()["media"].oldest is None


def test_a_pause_before_the_next_attempt_is_no_waiting(job):
    job.segments.filter(status="pending").update(notify_at=now() + timedelta(minutes=5))

    assert figures()["gpu"].oldest is None


def test_a_worker_lives_as_long_as_its_connection(worker):
    (alive,) = fleet.workers()
    assert (alive.node, alive.queues) == ("gpu@box", ("gpu",))
    assert figures()["gpu"].workers == 1

    worker.close()

    until(lambda: not looked_again())


def looked_again() -> list[Any]:
    """A transaction, as a test is one, sees the same backends for as long as it lasts."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_clear_snapshot()")
    return fleet.workers()


def test_the_name_of_a_connection_is_no_longer_than_the_database_keeps():
    name = connection_name(f"celery@{'x' * 80}", ["media", "control"])

    assert len(name) == 63
    assert name.startswith("worker control,media celery@")


def test_the_gpu_side_says_what_it_did_last(job):
    before = now()
    segment = ledger.claim_segment(job.pk, 1)
    ledger.open_invocation(segment, backend="http", lasting=timedelta(hours=1))

    asked = fleet.gpu_side()
    ledger.finish_segment(segment, seconds=3.0, version="1")
    done = fleet.gpu_side()

    assert (asked.running, asked.asked, asked.last_done) == (1, 1, None)
    assert done.running == 0
    assert done.last_done is not None
    assert done.last_done >= before


@pytest.fixture
def old_job(job: Job) -> Job:
    """Nothing has happened to it for two hours."""
    long_ago = now() - timedelta(hours=2)
    Job.objects.filter(pk=job.pk).update(started_at=long_ago)
    return job


def test_a_job_that_nobody_works_at_for_an_hour_is_stuck(old_job):
    assert list(fleet.stuck_jobs()) == [old_job]


def test_a_job_is_not_stuck_while_a_segment_is_in_hand(old_job):
    ledger.claim_segment(old_job.pk, 1)

    assert list(fleet.stuck_jobs()) == []


def test_a_job_is_not_stuck_while_it_gets_on(old_job):
    Segment.objects.filter(job=old_job, index=0).update(finished_at=now())

    assert list(fleet.stuck_jobs()) == []


def test_a_job_is_not_stuck_when_something_has_just_happened_to_it(old_job):
    Event.objects.create(job=old_job, kind="attempt-failed", detail="storage: away")

    assert list(fleet.stuck_jobs()) == []


def test_a_job_that_is_over_is_not_stuck(old_job):
    ledger.cancel(old_job.pk)

    assert list(fleet.stuck_jobs()) == []
