"""What a message costs the embedded SQS, and what that tells."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws
from moto.sqs.models import Message

from stereospot.sqs import count_when_asked


@pytest.fixture
def client() -> Iterator[Any]:
    count_when_asked()
    with mock_aws():
        yield boto3.client("sqs", "us-east-1")


@pytest.fixture
def looks(monkeypatch) -> Counter[str]:
    """How often a message was looked at, whether it waits."""
    seen: Counter[str] = Counter()
    own = Message.visible.fget

    def visible(message: Message) -> bool:
        seen["message"] += 1
        return bool(own(message))

    monkeypatch.setattr(Message, "visible", property(visible))
    return seen


def test_a_message_costs_the_same_however_many_wait(client, looks):
    url = client.create_queue(QueueName="long")["QueueUrl"]
    for number in range(100):
        client.send_message(QueueUrl=url, MessageBody=str(number))
    assert looks["message"] == 0

    client.receive_message(QueueUrl=url, MaxNumberOfMessages=10)

    assert looks["message"] <= 100 + 10  # once through the queue, not once a message


def test_what_waits_and_what_is_held_is_counted_for_who_asks(client):
    url = client.create_queue(QueueName="counted")["QueueUrl"]
    for delay in (0, 0, 0, 60):
        client.send_message(QueueUrl=url, MessageBody="x", DelaySeconds=delay)
    client.receive_message(QueueUrl=url)

    names = ["", "Delayed", "NotVisible"]
    asked = [f"ApproximateNumberOfMessages{name}" for name in names]
    told = client.get_queue_attributes(QueueUrl=url, AttributeNames=asked)

    assert [told["Attributes"][name] for name in asked] == ["2", "1", "1"]
