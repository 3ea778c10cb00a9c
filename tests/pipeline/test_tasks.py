"""What a delivery says to Celery and its chord, by what the ledger says of the work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import pytest
from celery.exceptions import Ignore, Retry
from django.utils.timezone import now

from apps.jobs import ledger
from apps.jobs.models import Job
from apps.pipeline import messages, tasks
from contract.errors import ErrorCode, StereoSpotError
from contract.invocation import Completed

TRANSIENT = StereoSpotError(ErrorCode.STORAGE, "The bucket did not answer.")
pytestmark = pytest.mark.django_db(transaction=True)

USERS = StereoSpotError(ErrorCode.NOT_A_VIDEO, "This is a text file.")


@contextmanager
def delivered(task: Any, **request: Any) -> Iterator[None]:
    """As a worker calls the task, for a message that came from the queue."""
    facts = {"id": "an id", "delivery_info": {}, "called_directly": False}
    task.push_request(**facts | request)
    try:
        yield
    finally:
        task.pop_request()


def deliver(task: Any, *args: Any, **request: Any) -> Any:
    with delivered(task, **request):
        return task.run(*args)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """Task and options of every message that goes out."""
    box: list[tuple[str, dict[str, Any]]] = []

    def apply_async(signature: Any, *args: Any, **options: Any) -> None:
        box.append((signature.task, signature.options | options))

    monkeypatch.setattr("celery.canvas.Signature.apply_async", apply_async)
    monkeypatch.setattr("celery.canvas._chord.apply_async", apply_async)
    monkeypatch.setattr("celery.canvas._chain.apply_async", apply_async)
    return box


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    """Call it with what each conversion is to give or raise."""

    def gives(outcome: Any) -> None:
        def infer(claim: Any, lease: Any) -> Completed:
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        monkeypatch.setattr("apps.pipeline.infer.infer", infer)

    gives(Completed(frames=25, seconds=1.0, engine="preview", version="1"))
    return gives


def test_a_part_that_is_done_counts(job, engine):
    assert deliver(tasks.infer, str(job.pk), 1) is None

    assert job.segments.get(index=1).status == "done"


def test_a_part_that_was_done_before_counts_again(job, engine):
    assert deliver(tasks.infer, str(job.pk), 0) is None


def test_a_part_that_somebody_else_is_at_does_not_count(job, engine):
    ledger.claim_segment(job.pk, 1)

    with pytest.raises(Ignore):
        deliver(tasks.infer, str(job.pk), 1)


@pytest.mark.parametrize("task", [tasks.chunk, tasks.concat])
def test_a_stage_that_somebody_else_is_at_does_not_go_on(job, task):
    stage = "chunking_in_progress" if task is tasks.chunk else "reassembling"
    Job.objects.update(status=stage)
    ledger.claim_stage(job.pk, Job.Status(stage))

    with pytest.raises(Ignore):
        deliver(task, str(job.pk))


def test_a_failed_attempt_is_retried_as_the_same_part_after_a_pause(
    job, engine, sent, settings
):
    engine(TRANSIENT)

    with pytest.raises(Retry):
        deliver(tasks.infer, str(job.pk), 1, group="a chord", args=[str(job.pk), 1])

    [(name, options)] = sent
    assert (name, options["task_id"], options["group_id"]) == (
        "infer",
        "an id",
        "a chord",
    )
    assert options["countdown"] == settings.RETRY_PAUSES[0]


def test_an_attempt_that_failed_for_good_fails_the_part(job, engine, sent):
    engine(USERS)

    with pytest.raises(StereoSpotError):
        deliver(tasks.infer, str(job.pk), 1)

    assert sent == []
    job.refresh_from_db()
    assert job.status == Job.Status.FAILED


def test_the_failure_of_an_attempt_that_was_taken_over_says_nothing(
    job, engine, monkeypatch
):
    def infer(claim: Any, lease: Any) -> Completed:
        job.segments.filter(index=1).update(lease_expires_at=now())
        ledger.claim_segment(job.pk, 1)
        raise TRANSIENT

    monkeypatch.setattr("apps.pipeline.infer.infer", infer)

    with pytest.raises(Ignore):
        deliver(tasks.infer, str(job.pk), 1)


@pytest.mark.parametrize("chord", [None, {"task": "concat"}])
def test_whoever_finishes_the_last_segment_starts_the_concat(job, engine, sent, chord):
    job.segments.filter(index=1).update(status="done", seconds=1, notify_at=None)

    deliver(tasks.infer, str(job.pk), 2, chord=chord)

    job.refresh_from_db()
    assert job.status == Job.Status.REASSEMBLING
    assert len(sent) == 1


def test_the_success_of_an_attempt_that_was_taken_over_says_nothing(
    job, engine, monkeypatch
):
    def infer(claim: Any, lease: Any) -> Completed:
        job.segments.filter(index=1).update(lease_expires_at=now())
        ledger.claim_segment(job.pk, 1)
        return Completed(frames=25, seconds=1.0, engine="preview", version="1")

    monkeypatch.setattr("apps.pipeline.infer.infer", infer)

    with pytest.raises(Ignore):
        deliver(tasks.infer, str(job.pk), 1)


def test_a_cutter_that_died_before_it_sent_the_parts_sends_them_when_it_comes_again(
    job, sent
):
    with pytest.raises(Ignore):
        deliver(tasks.chunk, str(job.pk), delivery_info={"redelivered": True})

    assert [name for name, _ in sent] == ["celery.chord"]


def test_a_doubled_cutting_sends_nothing(job, sent):
    assert deliver(tasks.chunk, str(job.pk)) is None
    assert sent == []


def test_who_died_before_it_sent_the_concat_sends_it_when_it_comes_again(job, sent):
    job.segments.update(status="done", seconds=1, notify_at=None)
    ledger.reassemble_when_done(job.pk)

    deliver(tasks.infer, str(job.pk), 1, delivery_info={"redelivered": True})

    assert len(sent) == 1


@pytest.mark.parametrize(
    ("task", "more"),
    [(tasks.chunk, []), (tasks.infer, [0]), (tasks.concat, []), (tasks.tidy, [])],
)
def test_a_job_that_does_not_exist_is_nothing_to_do(task, more, sent):
    for redelivered in (False, True):
        info = {"redelivered": redelivered}
        assert deliver(task, str(uuid4()), *more, delivery_info=info) is None
    assert sent == []
    assert not Job.objects.exists()


def test_a_key_is_no_job_id():
    with pytest.raises(ValueError, match="UUID"):
        deliver(tasks.chunk, "input/../another/source.mp4")


def test_the_messages_of_one_film_go_out_in_batches(job, monkeypatch):
    opened = []

    @contextmanager
    def publish_batch() -> Iterator[None]:
        opened.append(True)
        yield

    monkeypatch.setattr(messages, "publish_batch", publish_batch)
    monkeypatch.setattr("celery.canvas._chain.apply_async", lambda self: None)
    ledger.fail_segment(ledger.claim_segment(job.pk, 1), USERS)

    messages.send_retry(ledger.retry(job.pk))

    assert opened
