"""Messages that are not Celery's: from a queue of their own to a function, each once read.

    Bridge(client, url, handle).run(stop)

`handle` is given a message's body. When it returns, the message is done with. When it
raises `UnintelligibleError`, nobody will ever understand it: it goes to the queue's
dead-letter queue at once, with the reason as an attribute, or is left alone where there is
no such queue. When it raises `LaterError`, the message is put back for a while, as often as
it takes. Whatever else it raises, the
message is left alone: SQS shows it again after its visibility timeout, and its redrive
policy ends that.

A handler must stand what SQS does: the same message twice, late, and out of order.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import structlog
from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef

log = structlog.get_logger(__name__)

AWAY = (BotoCoreError, ClientError)
LATER_SECONDS = 900
"""The longest that SQS holds a message back."""
LONGEST_PAUSE = 30.0
"""Seconds between two polls of a queue that does not answer."""
REASON = "reason"
"""The attribute of a dead letter that says why it is one."""


class UnintelligibleError(Exception):
    """What the message says makes no sense, and never will."""


class LaterError(Exception):
    """Its time has not come; the message says why."""


class Bridge:
    """One queue. `wait` is how long a poll waits for a message, in seconds; `beat` is called
    before each poll, message and pause, as a sign of life."""

    def __init__(
        self,
        client: SQSClient,
        url: str,
        handle: Callable[[str], None],
        *,
        wait: int = 20,
        beat: Callable[[], None] = lambda: None,
    ) -> None:
        self._client = client
        self._url = url
        self._handle = handle
        self._wait = wait
        self._beat = beat
        self._dead_url: str | None = None

    def run(self, stop: threading.Event) -> None:
        """Until `stop` is set; outlives every answer of SQS."""
        pause = 1.0
        while not stop.is_set():
            try:
                self.poll()
                pause = 1.0
            except AWAY as error:
                log.warning(
                    "the queue does not answer", url=self._url, reason=str(error)
                )
                self._beat()
                stop.wait(pause)
                pause = min(2 * pause, LONGEST_PAUSE)

    def poll(self) -> int:
        """Take what is there; how many messages were done with."""
        self._beat()
        answer = self._client.receive_message(
            QueueUrl=self._url,
            MaxNumberOfMessages=10,
            WaitTimeSeconds=self._wait,
            MessageSystemAttributeNames=["ApproximateReceiveCount"],
        )
        return sum(self._take(message) for message in answer.get("Messages", []))

    def _take(self, message: MessageTypeDef) -> bool:
        self._beat()
        try:
            self._handle(message["Body"])
        except UnintelligibleError as error:
            log.warning(
                "not understood", message=message["MessageId"], reason=str(error)
            )
            if not self._bury(message, str(error)):
                return False
        except LaterError as error:
            log.info("put back", message=message["MessageId"], reason=str(error))
            # A new message: the old one's deliveries are counted, and end.
            self._client.send_message(
                QueueUrl=self._url,
                MessageBody=message["Body"],
                DelaySeconds=LATER_SECONDS,
            )
        except Exception:
            # The edge: one message's trouble is not the next one's.
            log.exception("not handled", message=message["MessageId"])
            return False
        handle = message["ReceiptHandle"]
        self._client.delete_message(QueueUrl=self._url, ReceiptHandle=handle)
        return True

    def _bury(self, message: MessageTypeDef, reason: str) -> bool:
        dead = self._dead_letters()
        if dead is None:
            log.error(
                "no dead-letter queue: the message stays, give its queue one",
                url=self._url,
                message=message["MessageId"],
            )
            return False
        self._client.send_message(
            QueueUrl=dead,
            MessageBody=message["Body"],
            MessageAttributes={
                REASON: {"DataType": "String", "StringValue": reason[:1000] or "?"}
            },
        )
        return True

    def _dead_letters(self) -> str | None:
        """The URL of the queue that this queue's redrive policy names."""
        if self._dead_url is None:
            answer = self._client.get_queue_attributes(
                QueueUrl=self._url, AttributeNames=["RedrivePolicy"]
            )
            policy: dict[str, Any] = json.loads(
                answer.get("Attributes", {}).get("RedrivePolicy", "{}")
            )
            if arn := policy.get("deadLetterTargetArn"):
                name = str(arn).rsplit(":", 1)[1]
                self._dead_url = self._client.get_queue_url(QueueName=name)["QueueUrl"]
        return self._dead_url
