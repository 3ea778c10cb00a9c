"""Our queues at SQS, asked directly: for their figures, and for what they gave up."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from kombu.exceptions import KombuError

from stereospot.celery import app

HOLD_SECONDS = 60
"""For which SQS hides a received letter from others; recording one takes far less."""

SQS_AWAY = (KombuError, BotoCoreError, ClientError)


class QueueAwayError(Exception):
    """SQS does not answer, or refuses; the message says how."""


@dataclass(frozen=True, slots=True)
class Counts:
    """About how many messages a queue has, by SQS."""

    waiting: int
    in_flight: int
    delayed: int


@dataclass(frozen=True, slots=True)
class Queues:
    """Our queues at SQS, by the names that tasks are routed with."""

    channel: Any
    client: Any

    def url(self, queue: str) -> str | None:
        name = self.channel.canonical_queue_name(queue)
        known = self.channel.predefined_queues.get(name)
        return str(known["url"]) if known else self._url_of(name)

    def dead_url(self, queue: str) -> str | None:
        """Of its dead-letter queue, which the queue itself names."""
        url = self.url(queue)
        if url is None:  # nothing has been sent to it yet
            return None
        answer = self.client.get_queue_attributes(
            QueueUrl=url, AttributeNames=["RedrivePolicy"]
        )
        policy = answer.get("Attributes", {}).get("RedrivePolicy")
        if policy is None:
            return None
        arn = str(json.loads(policy)["deadLetterTargetArn"])
        return self._url_of(arn.rsplit(":", 1)[1])

    def counts(self, url: str) -> Counts:
        name = "ApproximateNumberOfMessages"
        names = [name, f"{name}NotVisible", f"{name}Delayed"]
        answer = self.client.get_queue_attributes(QueueUrl=url, AttributeNames=names)
        found = answer.get("Attributes", {})
        return Counts(*(int(found.get(name, 0)) for name in names))

    def receive(self, url: str, most: int) -> list[dict[str, Any]]:
        answer = self.client.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=most,
            VisibilityTimeout=HOLD_SECONDS,
            WaitTimeSeconds=0,
            MessageSystemAttributeNames=["ApproximateReceiveCount", "SentTimestamp"],
        )
        messages: list[dict[str, Any]] = answer.get("Messages", [])
        return messages

    def delete(self, url: str, message: dict[str, Any]) -> None:
        handle = message["ReceiptHandle"]
        self.client.delete_message(QueueUrl=url, ReceiptHandle=handle)

    def _url_of(self, name: str) -> str | None:
        try:
            return str(self.client.get_queue_url(QueueName=name)["QueueUrl"])
        except self.client.exceptions.QueueDoesNotExist:
            return None


@contextlib.contextmanager
def queues() -> Iterator[Queues]:
    """Raises `QueueAwayError`, also for what is done within."""
    try:
        with app.connection_for_read() as connection:
            channel: Any = connection.default_channel
            yield Queues(channel, channel.sqs())
    except SQS_AWAY as error:
        raise QueueAwayError(f"The queue does not answer: {error}") from error
