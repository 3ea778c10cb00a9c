"""What a segment costs the database: the same in a short film and in a long one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from celery.app.amqp import AMQP
from celery.app.trace import trace_task_ret
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now

from apps.jobs import ledger
from apps.jobs.models import Job
from apps.pipeline import messages, sweep, tasks
from apps.pipeline.models import Chord
from contract.frames import Picture, SegmentFrames
from contract.invocation import Completed
from stereospot.celery import app
from tests.jobs import many

PER_SEGMENT = 8
"""Claim (a transaction of three, with its begin and end), finish, is it the last, and the
return of its part. A renewal each five seconds comes on top."""

Message = tuple[str, Any]
assert tasks.infer  # Celery knows it now


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[Message]:
    """Name and content of each message that would be published."""
    box: list[Message] = []

    class Recording(AMQP):
        @property
        def send_task_message(self) -> Any:
            return lambda producer, name, message, **options: box.append(
                (name, message)
            )

    monkeypatch.setattr(app, "amqp", Recording(app))
    monkeypatch.setattr(messages, "waiting", lambda queue: 0)
    return box


@pytest.fixture(autouse=True)
def engine(monkeypatch: pytest.MonkeyPatch) -> None:
    done = Completed(frames=25, seconds=1.0, engine="preview", version="1")
    monkeypatch.setattr("apps.pipeline.infer.infer", lambda claim, lease: done)


def cut(owner: User, picture: Picture, frames: SegmentFrames, segments: int) -> Job:
    """A film of so many segments, as chunk leaves it."""
    job = Job.objects.create(
        owner=owner,
        title="Rain",
        mode="sbs",
        status=Job.Status.CHUNKING,
        film={},
        picture=picture.model_dump(mode="json"),
        total_segments=segments,
        notify_at=now(),
    )
    claimed = ledger.claim_stage(job.pk, Job.Status.CHUNKING)
    assert isinstance(claimed, Job)
    assert ledger.finish_chunk(claimed, [ledger.Cut(frames)] * segments)
    return Job.objects.get(pk=job.pk)


def work_off(sent: list[Message]) -> None:
    """As a worker does, with what is in the queue now."""
    queue, sent[:] = list(sent), []
    for name, message in queue:
        request = message.headers | {"delivery_info": {}}
        trace_task_ret(name, message.headers["id"], request, message.body, None, None)


@contextmanager
def counted(into: Counter[str]) -> Iterator[None]:
    with CaptureQueriesContext(connection) as captured:
        yield
    into.update(query["sql"].split(" ")[0] for query in captured)


@pytest.mark.django_db(transaction=True)
def test_each_segment_costs_as_many_statements_in_a_long_film_as_in_a_short_one(
    alice: User, picture: Picture, frames: SegmentFrames, sent: list[Message]
):
    def statements(segments: int) -> int:
        """Of a film's conversion, from the cut until the concat is sent."""
        spent: Counter[str] = Counter()
        with counted(spent):
            job = cut(alice, picture, frames, segments)
            messages.send_retry(job)
            assert [name for name, _ in sent] == ["infer"] * segments
            work_off(sent)
        job.refresh_from_db()
        assert job.status == Job.Status.REASSEMBLING
        assert Chord.objects.latest("created_at").state == Chord.State.SENT
        assert {name for name, _ in sent} == {"concat"}
        sent.clear()
        return spent.total()

    few, some, many_ = (statements(segments) for segments in (10, 55, 100))

    assert some - few == many_ - some
    assert many_ - some <= 45 * PER_SEGMENT


def scans(captured: CaptureQueriesContext) -> list[str]:
    """Statements that would go through a whole table of many rows."""
    statements = [query["sql"].strip() for query in captured]
    return [
        sql
        for sql in statements
        if sql.startswith(("SELECT", "UPDATE", "WITH"))
        and any(many.scans_a_table(node) for node in many.planned(sql))
    ]


@pytest.mark.django_db(transaction=True)
def test_no_statement_of_a_segment_looks_through_other_films(
    alice: User, picture: Picture, frames: SegmentFrames, sent: list[Message]
):
    many.fill(alice, 10_000)
    job = cut(alice, picture, frames, 3)
    messages.send_retry(job)
    with CaptureQueriesContext(connection) as captured:
        work_off(sent)
        claimed = ledger.claim_stage(job.pk, Job.Status.REASSEMBLING)
        assert isinstance(claimed, Job)
        assert ledger.renew_stage(claimed)
        assert ledger.finish_concat(claimed)
    assert len(captured) > 3 * PER_SEGMENT
    assert scans(captured) == []


@pytest.mark.django_db
def test_a_sweep_does_not_look_through_what_is_over(
    alice: User,
    picture: Picture,
    frames: SegmentFrames,
    sent: list[Message],
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(sweep, "_is_shaken", lambda: False)
    many.fill(alice, 10_000)
    job = cut(alice, picture, frames, 3)
    segment = ledger.claim_segment(job.pk, 0)
    job.segments.update(notify_at=now() - timedelta(hours=1))
    job.segments.filter(pk=segment.pk).update(
        lease_expires_at=now() - timedelta(seconds=1)
    )
    with CaptureQueriesContext(connection) as captured:
        found = sweep.sweep()
    assert found["segments whose worker was lost"] == 1
    assert len(sent) == 3
    assert scans(captured) == []
