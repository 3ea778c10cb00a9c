"""Messages that the queue gave up become facts of the ledger, for operators to settle.

SQS moves a message to its queue's dead-letter queue after so many deliveries that came
to nothing: it cannot be read, or its workers died of it. A part of a chord is over with
it. What becomes of its segment is not decided here: that worker's lease runs out.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import structlog
from botocore.exceptions import BotoCoreError, ClientError
from celery import states
from celery.exceptions import TaskError
from django.conf import settings
from django.db import InterfaceError, OperationalError

from apps.jobs import ledger
from apps.jobs.models import DeadLetter
from apps.pipeline.letters import Letter, read
from apps.pipeline.queues import SQS_AWAY, QueueAwayError, queues
from stereospot.celery import app

log = structlog.get_logger(__name__)

MOST = 100
"""Letters that one call takes; the next one goes on."""
AT_ONCE = 10
"""Most messages that SQS hands out in one answer."""

AWAY = (InterfaceError, OperationalError, *SQS_AWAY)


def reap() -> int:
    """Record what lies in the dead-letter queues and delete it there; how many letters.

    The row comes first: after a crash between the two the letter comes again, and finds
    its row. Raises `QueueAwayError`, and the database's errors.
    """
    count = 0
    with queues() as ours:
        for queue in sorted({route["queue"] for route in _routes().values()}):
            url = ours.dead_url(queue)
            while url and count < MOST:
                messages = ours.receive(url, min(AT_ONCE, MOST - count))
                count += len(messages)
                for message in messages:
                    if _is_recorded(queue, message):
                        ours.delete(url, message)
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
    with queues() as ours:
        # Asked before it is settled, so that an SQS that is away leaves it as it was.
        url = ours.url(letter.queue)
        if url is None:
            raise QueueAwayError(f"There is no queue {letter.queue}.")
        if not ledger.settle(letter_id, DeadLetter.Status.REDRIVEN):
            return False
        try:
            ours.client.send_message(QueueUrl=url, MessageBody=letter.body)
        except (BotoCoreError, ClientError):
            ledger.unsettle(letter_id)
            raise
    log.info("dead letter sent again", letter=letter_id, queue=letter.queue)
    return True


def _routes() -> dict[str, dict[str, str]]:
    return settings.CELERY_TASK_ROUTES


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
