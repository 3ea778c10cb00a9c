"""Messages that the queue gave up become facts of the ledger, for operators to settle.

SQS moves a message to its queue's dead-letter queue after so many deliveries that came
to nothing: it cannot be read, or its workers died of it. A part of a chord is over with
it. What becomes of its segment is not decided here: that worker's lease runs out.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog
from botocore.exceptions import BotoCoreError, ClientError
from celery import states
from celery.exceptions import TaskError
from django.conf import settings
from django.db import InterfaceError, OperationalError
from kombu.exceptions import KombuError

from apps.jobs import ledger
from apps.jobs.models import DeadLetter
from apps.pipeline.letters import Letter, read
from stereospot.celery import app

log = structlog.get_logger(__name__)

MOST = 100
"""Letters that one call takes; the next one goes on."""
HOLD_SECONDS = 60
"""For which SQS hides a received letter from others; recording one takes far less."""
AT_ONCE = 10
"""Most messages that SQS hands out in one answer."""

SQS_AWAY = (KombuError, BotoCoreError, ClientError)
AWAY = (InterfaceError, OperationalError, *SQS_AWAY)


class QueueAwayError(Exception):
    """SQS does not answer, or refuses; the message says how."""


def reap() -> int:
    """Record what lies in the dead-letter queues and delete it there; how many letters.

    The row comes first: after a crash between the two the letter comes again, and finds
    its row. Raises `QueueAwayError`, and the database's errors.
    """
    count = 0
    with _queues() as queues:
        for queue in sorted({route["queue"] for route in _routes().values()}):
            url = queues.dead_url(queue)
            while url and count < MOST:
                messages = queues.receive(url, min(AT_ONCE, MOST - count))
                count += len(messages)
                for message in messages:
                    if _is_recorded(queue, message):
                        queues.delete(url, message)
                if not messages:
                    break
    return count


def redrive(letter_id: int) -> bool:
    """Send a waiting letter to its queue again; True for the one caller who did.

    It is settled first: of two operators one sends it. A crash between the two loses
    the message, and the sweep sends what the job still needs. Raises `QueueAwayError`.
    """
    letter = DeadLetter.objects.filter(pk=letter_id).first()
    if letter is None:
        return False
    with _queues() as queues:
        # Asked before it is settled, so that an SQS that is away leaves it as it was.
        url = queues.url(letter.queue)
        if url is None:
            raise QueueAwayError(f"There is no queue {letter.queue}.")
        if not ledger.settle(letter_id, DeadLetter.Status.REDRIVEN):
            return False
        try:
            queues.client.send_message(QueueUrl=url, MessageBody=letter.body)
        except (BotoCoreError, ClientError):
            ledger.unsettle(letter_id)
            raise
    log.info("dead letter sent again", letter=letter_id, queue=letter.queue)
    return True


def _routes() -> dict[str, dict[str, str]]:
    return settings.CELERY_TASK_ROUTES


@dataclass(frozen=True, slots=True)
class _Queues:
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
def _queues() -> Iterator[_Queues]:
    try:
        with app.connection_for_read() as connection:
            channel: Any = connection.default_channel
            yield _Queues(channel, channel.sqs())
    except SQS_AWAY as error:
        raise QueueAwayError(f"The queue does not answer: {error}") from error


def _is_recorded(queue: str, message: dict[str, Any]) -> bool:
    """Whether the letter may go: it is in the ledger, and its chord knows."""
    try:
        letter = read(message["Body"])
        row = _row(queue, message, letter)
        if ledger.bury(row, letter.job_id):
            log.warning("dead letter", queue=queue, task=row.task, reason=row.reason)
        _fail(letter, row.reason)
    except AWAY:
        raise  # it comes again, once they are back
    except Exception:  # one letter must not keep the others in the queue
        log.exception("could not record a dead letter", message=message["MessageId"])
        return False
    return True


def _row(queue: str, message: dict[str, Any], letter: Letter) -> DeadLetter:
    attributes = message["Attributes"]
    # The last delivery was ours.
    deliveries = max(0, int(attributes["ApproximateReceiveCount"]) - 1)
    given_up = (
        f"given up after {deliveries} deliveries: "
        "each time the worker died or put it back"
    )
    return DeadLetter(
        queue=queue,
        message_id=message["MessageId"],
        body=message["Body"],
        task=letter.task,
        task_id=letter.task_id,
        segment_index=letter.segment_index,
        deliveries=deliveries,
        reason=letter.fault or given_up,
        sent_at=datetime.fromtimestamp(int(attributes["SentTimestamp"]) / 1000, UTC),
    )


def _fail(letter: Letter, reason: str) -> None:
    """Tell the result backend that the task is over, and so a chord that waits for it.

    What belongs to the canvas may be nonsense; then nobody waits for it.
    """
    backend: Any = app.backend
    if (
        letter.request is None
        or backend.get_state(letter.task_id) in states.READY_STATES
    ):
        return
    error = TaskError(f"dead letter: {reason}")
    try:
        backend.mark_as_failure(letter.task_id, error, request=letter.request)
    except AWAY:
        raise  # as above
    except Exception:
        log.exception("could not fail the task of a dead letter", task=letter.task_id)
