"""Foreign messages on a real queue: each is done with, put back, or buried with a reason."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws
from structlog.testing import capture_logs

from workers.bridge import LATER_SECONDS, Bridge, LaterError, UnintelligibleError


class Queue:
    def __init__(self, client: Any) -> None:
        self.client = client
        self.dead_url = client.create_queue(QueueName="doors-dead")["QueueUrl"]
        arn = client.get_queue_attributes(
            QueueUrl=self.dead_url, AttributeNames=["QueueArn"]
        )["Attributes"]["QueueArn"]
        policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 5})
        self.url = client.create_queue(
            QueueName="doors", Attributes={"RedrivePolicy": policy}
        )["QueueUrl"]

    def send(self, *bodies: str) -> None:
        for body in bodies:
            self.client.send_message(QueueUrl=self.url, MessageBody=body)

    def counts(self) -> tuple[int, int, int]:
        """Waiting, in flight, held back."""
        name = "ApproximateNumberOfMessages"
        names = [name, f"{name}NotVisible", f"{name}Delayed"]
        found = self.client.get_queue_attributes(
            QueueUrl=self.url, AttributeNames=names
        )
        return tuple(int(found["Attributes"][each]) for each in names)

    def buried(self) -> list[tuple[str, str]]:
        answer = self.client.receive_message(
            QueueUrl=self.dead_url,
            MaxNumberOfMessages=10,
            MessageAttributeNames=["All"],
        )
        return [
            (message["Body"], message["MessageAttributes"]["reason"]["StringValue"])
            for message in answer.get("Messages", [])
        ]


@pytest.fixture
def queue(monkeypatch) -> Iterator[Queue]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        yield Queue(boto3.client("sqs", region_name="us-east-1"))


def polled(queue: Queue, handle) -> int:
    return Bridge(queue.client, queue.url, handle, wait=0).poll()


def test_a_message_that_was_handled_is_done_with(queue):
    read: list[str] = []
    queue.send("one", "two")

    assert polled(queue, read.append) == 2

    assert sorted(read) == ["one", "two"]
    assert queue.counts() == (0, 0, 0)


def test_what_nobody_understands_is_buried_at_once_with_the_reason(queue):
    def handle(body: str) -> None:
        raise UnintelligibleError(f"{body} makes no sense")

    queue.send("nonsense")
    polled(queue, handle)

    assert queue.buried() == [("nonsense", "nonsense makes no sense")]
    assert queue.counts() == (0, 0, 0)


def test_without_a_dead_letter_queue_what_nobody_understands_stays(queue):
    def handle(body: str) -> None:
        raise UnintelligibleError(f"{body} makes no sense")

    queue.client.set_queue_attributes(
        QueueUrl=queue.url, Attributes={"RedrivePolicy": ""}
    )
    queue.send("nonsense")

    with capture_logs() as logged:
        assert polled(queue, handle) == 0

    assert queue.counts() == (0, 1, 0)
    assert [each["log_level"] for each in logged] == ["warning", "error"]


def test_what_comes_too_early_is_held_back_and_counts_no_delivery(queue):
    def handle(body: str) -> None:
        raise LaterError("the quota is used up")

    queue.send("early")
    polled(queue, handle)

    assert queue.counts() == (0, 0, 1)
    assert LATER_SECONDS <= 900  # SQS holds no message back for longer


def test_a_message_in_trouble_is_left_to_sqs_and_stops_no_other(queue):
    def handle(body: str) -> None:
        if body == "trouble":
            raise ConnectionError("the database is away")

    queue.send("trouble", "fine")

    assert polled(queue, handle) == 1
    assert queue.counts() == (0, 1, 0)
    assert queue.buried() == []


def test_a_queue_that_does_not_answer_ends_nothing(queue, monkeypatch):
    stop = threading.Event()
    bridge = Bridge(queue.client, "http://127.0.0.1:1/none", lambda body: None, wait=0)
    monkeypatch.setattr(stop, "wait", lambda seconds: stop.set())

    bridge.run(stop)

    assert stop.is_set()


def test_it_says_that_it_lives_before_each_poll_message_and_pause(queue, monkeypatch):
    beats: list[None] = []
    bridge = Bridge(
        queue.client,
        queue.url,
        lambda body: None,
        wait=0,
        beat=lambda: beats.append(None),
    )
    queue.send("one", "two")

    bridge.poll()
    assert len(beats) == 3
    stop = threading.Event()
    monkeypatch.setattr(stop, "wait", lambda seconds: stop.set())
    bridge._url = "http://127.0.0.1:1/none"
    bridge.run(stop)
    assert len(beats) == 5
