"""What the queue gave up: recorded once, whoever wrote it, and settled by operators.

Against a real SQS server, with queues of each test's own.
"""

from __future__ import annotations

import functools
import json
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any
from uuid import uuid4

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError
from django.conf import settings
from django.db import OperationalError, connection

from apps.jobs import ledger
from apps.jobs.models import DeadLetter, Job
from apps.pipeline import dead_letters, letters, messages, queues, sweep
from stereospot.celery import app
from stereospot.embedded import Addresses
from tests.pipeline.envelopes import envelope

QUEUES = ("control", "gpu", "media")
MOST_DELIVERIES = 2


@functools.cache
def client() -> Any:
    return boto3.client(
        "sqs",
        region_name="us-east-1",
        endpoint_url=f"http://127.0.0.1:{Addresses.of(settings.DATA_DIR).sqs_port}",
        aws_access_key_id="embedded",
        aws_secret_access_key="embedded",
    )


class Sqs:
    """Our three queues and their dead-letter queues, under names of this test."""

    def __init__(self) -> None:
        self.prefix = f"letters-{uuid4().hex[:8]}-"
        self.client = client()

    def create(self) -> None:
        """As they are created for whoever first sends to them."""
        with app.connection_for_write() as own:
            for queue in QUEUES:
                own.default_channel.queue_declare(queue=queue)

    def url(self, queue: str) -> str:
        return self.client.get_queue_url(QueueName=f"{self.prefix}{queue}")["QueueUrl"]

    def put(self, queue: str, *bodies: str) -> None:
        for body in bodies:
            self.client.send_message(QueueUrl=self.url(queue), MessageBody=body)

    def send(self, name: str, *args: object, **options: Any) -> str:
        """A message of ours; its task's id."""
        return app.send_task(name, args, **options).id

    def waiting(self, queue: str) -> list[str]:
        """What can be received from the queue now."""
        bodies = []
        while found := self.client.receive_message(
            QueueUrl=self.url(queue), MaxNumberOfMessages=10, VisibilityTimeout=60
        ).get("Messages"):
            bodies += [message["Body"] for message in found]
        return bodies

    def give_up(self, queue: str, *, letters: int = 1) -> None:
        """Deliver what is in the queue until SQS gives so many messages up."""
        deadline = time.monotonic() + 20
        while self._number(f"{queue}-dead") < letters:
            assert time.monotonic() < deadline
            self.client.receive_message(
                QueueUrl=self.url(queue), MaxNumberOfMessages=10, VisibilityTimeout=0
            )

    def _number(self, queue: str) -> int:
        name = "ApproximateNumberOfMessages"
        answer = self.client.get_queue_attributes(
            QueueUrl=self.url(queue), AttributeNames=[name]
        )
        return int(answer["Attributes"][name])


@pytest.fixture
def sqs(db, monkeypatch) -> Sqs:
    own = Sqs()
    options = app.conf.broker_transport_options
    terms = {"suffix": "-dead", "max_receive_count": MOST_DELIVERIES}
    monkeypatch.setitem(options, "queue_name_prefix", own.prefix)
    monkeypatch.setitem(options, "dead_letters", terms)
    # Connections that are open already send to queues of another name.
    monkeypatch.setattr(app, "_pool", None)
    monkeypatch.setattr(app.amqp, "_producer_pool", None)
    own.create()
    return own


def buried(sqs: Sqs, body: str) -> DeadLetter:
    sqs.put("gpu-dead", body)
    dead_letters.reap()
    return DeadLetter.objects.get()


# --- Recording --------------------------------------------------------------------


def test_a_message_whose_workers_died_of_it_is_recorded_with_what_it_was_for(sqs, job):
    task_id = sqs.send("infer", str(job.pk), 2)
    sqs.give_up("gpu")

    assert dead_letters.reap() == 1

    letter = DeadLetter.objects.get()
    assert (letter.queue, letter.task, letter.task_id) == ("gpu", "infer", task_id)
    assert (letter.job, letter.segment_index) == (job, 2)
    assert letter.deliveries == MOST_DELIVERIES
    assert letter.reason == (
        "given up after 2 deliveries: each time the worker died or put it back"
    )
    assert letter.status == DeadLetter.Status.WAITING
    assert abs((letter.buried_at - letter.sent_at).total_seconds()) < 60
    assert sqs.waiting("gpu-dead") == []


def test_the_jobs_log_tells_of_it(sqs, job):
    sqs.put("gpu-dead", envelope("infer", str(job.pk), 1))

    dead_letters.reap()

    event = job.events.get()
    assert (event.kind, event.segment_index) == ("dead-letter", 1)
    assert event.detail.startswith("given up after")


def test_what_becomes_of_the_segment_is_left_to_its_lease(sqs, job):
    segment = ledger.claim_segment(job.pk, 1)

    buried(sqs, envelope("infer", str(job.pk), 1))

    segment.refresh_from_db()
    assert (segment.status, segment.failures) == ("running", 0)


def test_a_megabyte_of_noise_is_kept_like_any_other(sqs):
    noise = "".join(chr(0x21 + index % 90) for index in range(1024 * 1024))

    assert buried(sqs, noise).body == noise


@pytest.mark.parametrize(
    "body",
    [
        "hello world",
        "[" * 100_000,
        '{"Records": [{"eventName": "ObjectCreated:Put"}]}',
        envelope("no.such.task", str(uuid4())),
        envelope("infer", 7),
    ],
)
def test_what_no_worker_can_do_is_recorded_as_it_came(sqs, body):
    letter = buried(sqs, body)

    assert letter.body == body
    assert "given up" not in letter.reason
    assert letter.job is None
    assert sqs.waiting("gpu-dead") == []


def test_a_letter_that_names_an_unknown_job_is_linked_to_none(sqs, job):
    letter = buried(sqs, envelope("infer", str(uuid4()), 1))

    assert (letter.job, letter.task) == (None, "infer")
    assert not job.events.exists()


def test_a_letter_outlives_the_job_that_it_was_for(sqs, job):
    letter = buried(sqs, envelope("infer", str(job.pk), 1))

    job.delete()

    letter.refresh_from_db()
    assert letter.job is None


def test_one_call_takes_so_many_and_the_next_goes_on(sqs, monkeypatch):
    monkeypatch.setattr(dead_letters, "MOST", 12)
    sqs.put("media-dead", *[f"noise {number}" for number in range(10)])
    sqs.put("control-dead", *[f"noise {number}" for number in range(5)])

    assert [dead_letters.reap() for _ in range(3)] == [12, 3, 0]
    assert DeadLetter.objects.count() == 15


def test_queues_that_nobody_has_made_yet_have_no_letters(sqs, monkeypatch):
    options = app.conf.broker_transport_options
    monkeypatch.setitem(options, "queue_name_prefix", f"none-{uuid4().hex[:8]}-")

    assert dead_letters.reap() == 0


def test_a_queue_without_a_dead_letter_queue_has_no_letters(sqs):
    plain = sqs.prefix + "gpu"
    sqs.client.delete_queue(QueueUrl=sqs.url("gpu"))
    sqs.client.create_queue(QueueName=plain)
    sqs.put("media-dead", "noise")

    assert dead_letters.reap() == 1


def test_queues_that_are_known_by_their_url_are_read_too(sqs, monkeypatch):
    known = {f"known-{queue}": {"url": sqs.url(queue)} for queue in QUEUES}
    options = app.conf.broker_transport_options
    monkeypatch.setitem(options, "queue_name_prefix", "known-")
    monkeypatch.setitem(options, "predefined_queues", known)

    letter = buried(sqs, "noise")
    dead_letters.redrive(letter.pk)

    assert sqs.waiting("gpu") == ["noise"]


def test_the_sweep_looks_after_them(sqs, job):
    sqs.put("gpu-dead", envelope("infer", str(job.pk), 1))

    assert sweep.sweep()["messages that the queue gave up"] == 1


# --- Crashes and outages ----------------------------------------------------------


class Crashed(BaseException):
    """The process is gone."""


def test_a_letter_whose_reaper_died_before_it_deleted_it_is_recorded_once(
    sqs, job, monkeypatch
):
    def die(*args: object) -> None:
        raise Crashed

    monkeypatch.setattr(queues, "HOLD_SECONDS", 0)
    sqs.put("gpu-dead", envelope("infer", str(job.pk), 1))
    with monkeypatch.context() as crash:
        crash.setattr(queues.Queues, "delete", die)
        with pytest.raises(Crashed):
            dead_letters.reap()
    assert DeadLetter.objects.count() == 1

    assert dead_letters.reap() == 1

    assert DeadLetter.objects.count() == 1
    assert job.events.count() == 1
    assert sqs.waiting("gpu-dead") == []


@pytest.mark.parametrize("away", [OperationalError("gone"), RuntimeError("a bug")])
def test_a_letter_that_could_not_be_recorded_stays_in_its_queue(sqs, monkeypatch, away):
    def refuse(*args: object) -> None:
        raise away

    monkeypatch.setattr(queues, "HOLD_SECONDS", 1)
    monkeypatch.setattr(dead_letters, "MOST", 1)
    sqs.put("gpu-dead", "noise")
    with monkeypatch.context() as outage:
        outage.setattr(ledger, "bury", refuse)
        try:
            dead_letters.reap()
        except OperationalError:
            assert away.args == ("gone",)
    assert DeadLetter.objects.count() == 0

    assert _until_received(sqs) == ["noise"]


def _until_received(sqs: Sqs) -> list[str]:
    answer = sqs.client.receive_message(
        QueueUrl=sqs.url("gpu-dead"), WaitTimeSeconds=10
    )
    return [message["Body"] for message in answer["Messages"]]


def test_one_letter_that_makes_trouble_does_not_keep_the_others(sqs, monkeypatch):
    real = letters.read

    def read(text: str) -> letters.Letter:
        if text == "bad":
            raise RuntimeError("a bug")
        return real(text)

    monkeypatch.setattr(dead_letters, "read", read)
    sqs.put("gpu-dead", "bad", "good")

    assert dead_letters.reap() == 2
    assert DeadLetter.objects.get().body == "good"


# --- The chord that waits ---------------------------------------------------------


def convert(sqs: Sqs, job: Job) -> tuple[str, list[str]]:
    """Send the conversion of two segments; ids of its callback and of its parts."""
    canvas = messages.conversion(job.pk, [1, 2], attempt=1)
    canvas.apply_async()
    return canvas.body.id, [part.id for part in canvas.tasks.tasks]


def state(task_id: str) -> str:
    return str(app.backend.get_state(task_id))


def test_a_chord_hears_that_its_part_is_over_and_fails(sqs, job):
    callback, parts = convert(sqs, job)
    sqs.give_up("gpu", letters=2)

    assert dead_letters.reap() == 2

    assert [state(part) for part in parts] == ["FAILURE", "FAILURE"]
    assert state(callback) == "FAILURE"


def test_a_part_that_was_done_after_all_stays_done(sqs, job):
    _, (first, second) = convert(sqs, job)
    app.backend.store_result(first, None, "SUCCESS")
    sqs.give_up("gpu", letters=2)

    dead_letters.reap()

    assert (state(first), state(second)) == ("SUCCESS", "FAILURE")


@pytest.mark.parametrize(
    ("before", "told"), [(None, 1), ("SUCCESS", 0), ("FAILURE", 0)]
)
def test_who_waits_for_a_failure_hears_of_it_once(sqs, job, before, told):
    errback = app.signature("tidy", args=[str(job.pk)], immutable=True)
    task_id = sqs.send("infer", str(job.pk), 1, link_error=errback)
    if before is not None:
        result = None if before == "SUCCESS" else RuntimeError("before")
        app.backend.store_result(task_id, result, before)
    sqs.give_up("gpu")

    dead_letters.reap()

    assert len(sqs.waiting("media")) == told


@pytest.mark.parametrize(
    "canvas",
    [
        {"chord": 7},
        {"chord": {"task": "concat", "options": 7}},
        {"chord": [], "errbacks": 7},
        {"errbacks": [7, {}]},
        {"chain": [7]},
        {"get": 7, "update": "x", "children": "y"},
    ],
)
def test_a_canvas_that_is_nonsense_makes_no_trouble(sqs, job, canvas, monkeypatch):
    # Were it not deleted, it could be received again at once.
    monkeypatch.setattr(queues, "HOLD_SECONDS", 0)
    monkeypatch.setattr(dead_letters, "MOST", 1)
    body = json.dumps([[str(job.pk), 1], {}, canvas])
    properties = {"body_encoding": "utf-8"}

    letter = buried(sqs, envelope("infer", body=body, properties=properties))

    assert letter.job == job
    assert sqs.waiting("gpu-dead") == []


# --- Settling ---------------------------------------------------------------------


def test_a_letter_is_sent_again_as_it_was(sqs, job):
    letter = buried(sqs, envelope("infer", str(job.pk), 1))

    assert dead_letters.redrive(letter.pk)

    assert sqs.waiting("gpu") == [letter.body]
    letter.refresh_from_db()
    assert letter.status == DeadLetter.Status.REDRIVEN
    assert letter.settled_at is not None


@pytest.mark.parametrize("status", ["redriven", "discarded"])
def test_a_letter_that_is_settled_is_not_sent(sqs, status):
    letter = buried(sqs, "noise")
    assert ledger.settle(letter.pk, DeadLetter.Status(status))

    assert not dead_letters.redrive(letter.pk)
    assert not ledger.settle(letter.pk, DeadLetter.Status.DISCARDED)

    assert sqs.waiting("gpu") == []
    letter.refresh_from_db()
    assert letter.status == status


def test_a_letter_that_is_unknown_is_not_sent(sqs):
    assert not dead_letters.redrive(1)


def test_sqs_that_is_away_leaves_the_letter_to_be_sent_later(sqs, monkeypatch):
    letter = buried(sqs, "noise")

    def away(*args: object) -> None:
        raise EndpointConnectionError(endpoint_url="https://sqs")

    with monkeypatch.context() as outage:
        outage.setattr(queues.Queues, "url", away)
        with pytest.raises(queues.QueueAwayError):
            dead_letters.redrive(letter.pk)

    assert dead_letters.redrive(letter.pk)


def test_a_letter_whose_queue_is_gone_is_not_lost(sqs):
    letter = buried(sqs, "noise")
    sqs.client.delete_queue(QueueUrl=sqs.url("gpu"))

    with pytest.raises(queues.QueueAwayError):
        dead_letters.redrive(letter.pk)

    letter.refresh_from_db()
    assert letter.status == DeadLetter.Status.WAITING


def test_one_that_was_sent_again_and_given_up_again_is_another_letter(sqs, job):
    first = buried(sqs, envelope("infer", str(job.pk), 1))
    dead_letters.redrive(first.pk)
    sqs.give_up("gpu")

    dead_letters.reap()

    second = DeadLetter.objects.exclude(pk=first.pk).get()
    assert second.body == first.body
    assert second.status == DeadLetter.Status.WAITING


@pytest.mark.django_db(transaction=True)
def test_of_two_operators_one_sends_it(sqs):
    letter = buried(sqs, "noise")
    ready = Barrier(4)

    def redrive(_: int) -> bool:
        try:
            ready.wait()
            return dead_letters.redrive(letter.pk)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        sent = list(pool.map(redrive, range(4)))

    assert sorted(sent) == [False, False, False, True]
    assert sqs.waiting("gpu") == ["noise"]
