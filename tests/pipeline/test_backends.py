"""What becomes of a segment that no GPU is to be had for, whichever backend says so."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from celery._state import _task_stack
from celery.exceptions import Ignore, Retry
from django.utils.timezone import now

from apps.jobs import ledger
from apps.jobs.models import Invocation, Segment
from apps.pipeline import backends, infer, tasks
from apps.pipeline.backends import PausedError
from apps.pipeline.backends.local import Local
from tests.concurrency import at_once
from tests.pipeline.test_tasks import deliver

pytestmark = pytest.mark.django_db(transaction=True)


LONG = timedelta(hours=1)


class NoGpu:
    def make(self, claim: Any, lease: Any) -> Any:
        raise PausedError(15)


@pytest.fixture
def current() -> Any:
    """The task is the one that Celery says is running."""
    _task_stack.push(tasks.infer)
    yield
    _task_stack.pop()


@pytest.fixture
def sent(monkeypatch) -> list[dict[str, Any]]:
    """Options of every message that goes out."""
    box: list[dict[str, Any]] = []
    monkeypatch.setattr(
        "celery.canvas.Signature.apply_async",
        lambda signature, *args, **options: box.append(signature.options | options),
    )
    return box


def test_a_segment_that_waits_for_its_turn_comes_again_as_the_same_part(
    job, monkeypatch, current, sent
):
    monkeypatch.setattr(infer, "backend", NoGpu)

    with pytest.raises(Retry):
        deliver(tasks.infer, str(job.pk), 1, group="a chord", args=[str(job.pk), 1])

    [options] = sent
    assert (options["task_id"], options["group_id"], options["countdown"]) == (
        "an id",
        "a chord",
        15,
    )
    segment = job.segments.get(index=1)
    assert (segment.status, segment.failures) == ("pending", 0)
    # Until its message can be there nobody takes it for lost.
    assert (segment.notify_at - now()).total_seconds() == pytest.approx(45, abs=5)


def test_a_segment_that_was_taken_away_is_not_put_back(job, monkeypatch, current, sent):
    class Cancelled:
        def make(self, claim: Any, lease: Any) -> Any:
            ledger.cancel(job.pk)
            raise PausedError(15)

    monkeypatch.setattr(infer, "backend", Cancelled)

    with pytest.raises(Ignore):
        deliver(tasks.infer, str(job.pk), 1)

    assert sent == []


def test_the_environment_names_the_backend(settings):
    backends.backend.cache_clear()
    assert isinstance(backends.backend(), Local)

    for name, kind in (("http", "Http"), ("sagemaker", "Asynchronous")):
        backends.backend.cache_clear()
        settings.INFERENCE_BACKEND = name
        assert type(backends.backend()).__name__ == kind
    backends.backend.cache_clear()


def test_of_many_workers_only_as_many_as_may_send_one(job, settings):
    settings.INFERENCE_MAX_IN_FLIGHT = 1
    claims = [ledger.claim_segment(job.pk, index) for index in (1, 2)]

    def open_one(segment: Segment) -> Invocation | None:
        return ledger.open_invocation(segment, backend="http", lasting=LONG)

    for _ in range(10):
        opened = at_once([lambda s=s: open_one(s) for s in claims])
        assert sum(invocation is not None for invocation in opened) == 1
        Invocation.objects.all().delete()


def test_a_segment_is_never_under_way_twice(job, settings):
    segment = ledger.claim_segment(job.pk, 1)
    first = ledger.open_invocation(segment, backend="sagemaker", lasting=LONG)
    ledger.note_accepted(first, "s3://b/ok", "s3://b/no", expires_at=now() + LONG)

    again = ledger.open_invocation(segment, backend="sagemaker", lasting=LONG)

    assert again == first
    assert again.success_uri == "s3://b/ok"


def test_what_another_backend_has_in_hand_is_given_up_when_the_environment_changes(job):
    segment = ledger.claim_segment(job.pk, 1)
    first = ledger.open_invocation(segment, backend="sagemaker", lasting=LONG)

    second = ledger.open_invocation(segment, backend="http", lasting=LONG)

    assert second != first
    first.refresh_from_db()
    assert first.outcome == "lost"


def test_an_invocation_is_closed_once(job):
    segment = ledger.claim_segment(job.pk, 1)
    opened = ledger.open_invocation(segment, backend="http", lasting=LONG)

    closed = [
        ledger.close_invocation(opened, outcome)
        for outcome in (Invocation.Outcome.OK, Invocation.Outcome.LOST)
    ]

    assert closed == [True, False]
    opened.refresh_from_db()
    assert opened.outcome == "ok"
