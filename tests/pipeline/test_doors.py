"""What S3, SNS and SageMaker say, and what becomes of it.

What nobody understands is sent to a real queue by tests/path/test_doors.py.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import boto3
import pytest
from botocore.config import Config
from django.utils.timezone import now
from moto import mock_aws

from apps.jobs import ledger, linking
from apps.jobs.models import Job
from apps.pipeline import messages
from apps.pipeline.doors import arrivals, envelopes
from apps.pipeline.doors.envelopes import Arrival
from contract.generation import ClipWish
from contract.origins import Dropped, Prompt
from tests.concurrency import at_once
from workers.bridge import LaterError, UnintelligibleError

TOPIC = "arn:aws:sns:us-east-1:123456789012:films"


def record(key: str, bucket: str = "source", name: str = "ObjectCreated:Put") -> dict:
    return {
        "eventSource": "aws:s3",
        "eventName": name,
        "s3": {"bucket": {"name": bucket}, "object": {"key": key, "sequencer": "0055"}},
    }


def event(*records: dict) -> str:
    return json.dumps({"Records": records})


def notification(message: str, topic: str = TOPIC) -> str:
    return json.dumps({"Type": "Notification", "TopicArn": topic, "Message": message})


# --- Envelopes ---------------------------------------------------------------------


def test_all_records_of_a_message_are_read_and_their_keys_decoded():
    body = event(
        record("drop/alice/A+walk+%E6%9D%B1.mp4"), record("a%2Bb.mp4", "other")
    )

    assert envelopes.arrivals(envelopes.opened(body)) == [
        Arrival("source", "drop/alice/A walk 東.mp4"),
        Arrival("other", "a+b.mp4"),
    ]


@pytest.mark.parametrize("wrap", [0, 1, 2])
def test_a_message_may_come_in_envelopes_of_sns(wrap):
    body = event(record("a.mp4"))
    for _ in range(wrap):
        body = notification(body)

    assert envelopes.arrivals(envelopes.opened(body)) == [Arrival("source", "a.mp4")]


def test_eventbridge_says_the_same_in_other_words():
    told = {
        "source": "aws.s3",
        "detail-type": "Object Created",
        "detail": {"bucket": {"name": "source"}, "object": {"key": "a b.mp4"}},
    }

    assert envelopes.arrivals(told) == [Arrival("source", "a b.mp4")]
    assert envelopes.arrivals(told | {"detail-type": "Object Deleted"}) == []


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent"}),
        event(record("a.mp4", name="ObjectRemoved:Delete")),
        event(),
    ],
)
def test_what_tells_of_no_new_object_is_done_with(body):
    assert envelopes.arrivals(envelopes.opened(body)) == []


# --- What has arrived --------------------------------------------------------------


@pytest.fixture
def sent(monkeypatch) -> list[str]:
    out: list[str] = []
    monkeypatch.setattr(messages, "send_stage", lambda job: out.append(job.status))
    monkeypatch.setattr(
        messages,
        "send_segment",
        lambda job_id, index, **_: out.append(f"infer {index}"),
    )
    return out


@pytest.fixture
def buckets(settings, monkeypatch) -> Iterator[Any]:
    """The store is two buckets, `source` and `result`."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    options = {"region_name": "us-east-1", "client_config": Config()}
    backend = "apps.jobs.storage.Bucket"
    settings.STORAGES = settings.STORAGES | {
        name: {"BACKEND": backend, "OPTIONS": options | {"bucket_name": name}}
        for name in ("source", "result")
    }
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        for name in ("source", "result"):
            client.create_bucket(Bucket=name)
        yield client


@pytest.fixture
def waiting(alice) -> Job:
    return Job.objects.create(owner=alice, title="Rain", mode="sbs")


def test_a_source_that_arrived_starts_its_job_once(buckets, waiting, sent):
    buckets.put_object(Bucket="source", Key=waiting.source_key, Body=b"film")

    for _ in range(3):
        arrivals.handle(event(record(waiting.source_key)))

    assert sent == ["chunking_in_progress"]


def test_a_source_that_is_said_to_be_there_and_is_not_starts_nothing(
    buckets, waiting, sent
):
    arrivals.handle(event(record(waiting.source_key)))

    waiting.refresh_from_db()
    assert waiting.status == Job.Status.CREATED
    assert sent == []


@pytest.mark.parametrize(
    "key",
    [
        "input/5d0f7c52-8d0e-4a53-9d3a-1f6f5c1b7d10/source.mp4",
        "input/../../etc/passwd",
        "segments/what.mp4",
        "readme.txt",
    ],
)
def test_what_belongs_to_no_job_is_done_with(buckets, db, sent, key):
    arrivals.handle(event(record(key)))

    assert sent == []


def test_a_film_waits_for_its_depth(buckets, alice, sent):
    job = Job.objects.create(
        owner=alice, title="Rain", mode="sbs", depth_extension="mkv"
    )
    buckets.put_object(Bucket="source", Key=job.source_key, Body=b"film")
    arrivals.handle(event(record(job.source_key)))
    assert sent == []

    buckets.put_object(Bucket="source", Key=job.depth_key, Body=b"depth")
    arrivals.handle(event(record(job.depth_key)))

    assert sent == ["chunking_in_progress"]


# --- Drop folders ------------------------------------------------------------------


def dropped(buckets, key: str, body: bytes = b"film") -> str:
    buckets.put_object(Bucket="source", Key=key, Body=body)
    return event(record(key.replace(" ", "+")))


def test_a_film_that_is_dropped_becomes_its_persons_job_once(buckets, alice):
    told = dropped(buckets, "drop/alice/half_sbs/A walk.mkv")

    for _ in range(3):
        arrivals.handle(told)

    job = Job.objects.get()
    assert (job.owner, job.title, job.mode) == (alice, "A walk", "half_sbs")
    assert job.status == Job.Status.INGESTING
    assert job.get_origin() == Dropped(key="drop/alice/half_sbs/A walk.mkv")


@pytest.mark.django_db(transaction=True)
def test_the_same_event_eight_times_at_once_makes_one_job(alice, sent, monkeypatch):
    """The store is left out: threads would share moto's."""
    monkeypatch.setattr("apps.jobs.storage.bucket_name", lambda store: "source")
    monkeypatch.setattr("apps.pipeline.fetching.bucket.mark", lambda *_: "etag:4")
    told = event(record("drop/alice/film.mp4"))

    at_once([lambda: arrivals.handle(told)] * 8)

    assert Job.objects.count() == 1
    assert set(sent) == {"ingesting"}


def test_another_film_under_the_same_name_is_another_job(buckets, alice):
    first = dropped(buckets, "drop/alice/film.mp4")
    arrivals.handle(first)
    arrivals.handle(dropped(buckets, "drop/alice/film.mp4", b"another film"))
    arrivals.handle(first)  # late: what it speaks of is not there any more

    assert Job.objects.count() == 2


def test_a_film_that_is_gone_again_becomes_no_job(buckets, alice):
    arrivals.handle(event(record("drop/alice/film.mp4")))

    assert not Job.objects.exists()


@pytest.mark.parametrize("active", [None, False])
def test_a_film_for_nobody_is_told_as_such(buckets, alice, active):
    if active is None:
        alice.delete()
    else:
        alice.is_active = active
        alice.save()
    told = dropped(buckets, "drop/alice/film.mp4")

    with pytest.raises(UnintelligibleError, match="nobody called 'alice'"):
        arrivals.handle(told)


def test_who_has_enough_films_in_work_gets_the_next_one_later(buckets, alice, settings):
    settings.QUOTA_FILMS_AT_ONCE = 1
    arrivals.handle(dropped(buckets, "drop/alice/one.mp4"))
    told = dropped(buckets, "drop/alice/two.mp4")

    with pytest.raises(LaterError):
        arrivals.handle(told)
    Job.objects.update(status="cancelled", finished_at=now(), notify_at=None)
    arrivals.handle(told)

    assert set(Job.objects.values_list("title", flat=True)) == {"one", "two"}


# --- Answers -----------------------------------------------------------------------


@pytest.fixture
def put_back(job) -> Job:
    """Alice's film, of which segment 1 was asked for and waits for nobody in particular."""
    segment = ledger.claim_segment(job.pk, 1)
    asked = ledger.open_invocation(
        segment, backend="sagemaker", lasting=timedelta(hours=1)
    )
    ledger.note_accepted(
        asked, "s3://r/ok", "s3://r/no", expires_at=now() + timedelta(hours=1)
    )
    ledger.pause_segment(segment, seconds=900)
    return job


@pytest.mark.parametrize("how", ["object", "notification"])
def test_an_answer_that_nobody_waits_for_is_looked_at_at_once(
    buckets, put_back, sent, how
):
    told = {
        "object": event(record(f"jobs/{put_back.pk}/segments/1.mp4", "result")),
        "notification": notification(
            json.dumps(
                {"inferenceId": f"{put_back.pk}-1-1", "invocationStatus": "Completed"}
            )
        ),
    }[how]

    for _ in range(3):
        arrivals.handle(told)

    assert sent == ["infer 1"]


def test_a_clip_that_nobody_waits_for_is_looked_at_at_once(buckets, alice, monkeypatch):
    stages: list[UUID] = []
    monkeypatch.setattr(messages, "send_stage", lambda job: stages.append(job.pk))
    prompt = Prompt.of(ClipWish(prompt="rain on the sea"))
    job = linking.begin_from(Job(owner=alice, mode="flat"), prompt)
    job = ledger.claim_stage(job.pk, Job.Status.INGESTING)
    hour = timedelta(hours=1)
    asked = ledger.open_invocation(job, backend="sagemaker", lasting=hour)
    ledger.note_accepted(asked, "s3://r/ok", "s3://r/no", expires_at=now() + hour)
    told = {"inferenceId": asked.inference_id, "invocationStatus": "Completed"}
    stages.clear()

    arrivals.handle(json.dumps(told))
    assert stages == []
    ledger.pause_stage(job, seconds=900)
    for _ in range(3):
        arrivals.handle(json.dumps(told))

    assert stages == [job.pk]


def test_an_answer_that_somebody_waits_for_changes_nothing(buckets, job, sent):
    ledger.claim_segment(job.pk, 1)

    arrivals.handle(event(record(f"jobs/{job.pk}/segments/1.mp4", "result")))
    arrivals.handle(event(record(f"jobs/{uuid4()}/segments/1.mp4", "result")))

    assert sent == []
