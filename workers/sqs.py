"""Celery's transport for SQS: kombu 5.7.0's, mended where it loses, doubles or stops.

    broker_url = "sqs://"
    broker_transport = "workers.sqs:Transport"
    broker_transport_options = {"visibility_timeout": 120, "wait_time_seconds": 20}

Options, beside kombu's own:

`visibility_timeout`
    Seconds for which a message is held, and for which a queue is created; that of
    predefined queues must be the same. `VisibilityKeeper` extends it, so it is the time
    after which a killed worker's messages come back, and not the longest task's.
`visibility_cap`
    Seconds after which a message is held no longer, so that a task that hangs is given
    to another worker. Default and maximum: 12 hours less a minute, SQS's limit.
`requeue_backoff`
    Seconds before a rejected message is seen again, by how often it was received; the
    last for all beyond. Default `REQUEUE_BACKOFF`: at once where a worker drains, slowly
    where it keeps crashing.
`dead_letters`
    `{"suffix": "-dead", "max_receive_count": 6}` is the default: a queue that the
    transport creates gets a dead-letter queue of that name; None for none. Predefined
    queues bring their own.
`client-config`
    kombu's. Polls take its `connect_timeout` (in seconds; default 5) but have limits of
    their own else: ten seconds beyond `wait_time_seconds`, and one attempt.

Of messages: an `eta` becomes SQS's own delay, up to 15 minutes; the header
`fair_queue_group` becomes the `MessageGroupId` of a standard queue; `redelivered` is true
from the second receipt on. `publish_batch()` sends ten messages a call; deleted are ten a
call, too, and as many received where tasks take fractions of a second (`workers.ahead`).

Not for `sts_role_arn`: boto's own chain assumes roles too, and refreshes them.
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from functools import partial
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from kombu.asynchronous import set_event_loop
from kombu.transport import SQS

from workers.batches import collecting
from workers.hearing import note_call
from workers.polling import PollingChannel
from workers.visibility import LONGEST_CAP, VisibilityKeeper

logger = logging.getLogger(__name__)

REQUEUE_BACKOFF = (0, 0, 10, 30, 60, 120)
LONGEST_DELAY = 900  # seconds, of SQS
DEAD_LETTERS = {"suffix": "-dead", "max_receive_count": 6}
DEAD_LETTER_RETENTION = 14 * 24 * 3600  # seconds, SQS's longest
FAIR_QUEUE_GROUP = "fair_queue_group"


class QoS(SQS.QoS):
    """Tells the keeper and the polls which messages are ours no longer."""

    def ack(self, delivery_tag: str) -> None:
        super().ack(delivery_tag)
        self.channel.settled(delivery_tag)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        super().reject(delivery_tag, requeue=requeue)
        self.channel.settled(delivery_tag)


class Channel(PollingChannel):
    """The sending and settling half of the channel."""

    QoS = QoS

    def __init__(self, connection: Any, **kwargs: Any):
        # Tasks settle their messages although the connection may be closed by then.
        self._keeper: VisibilityKeeper = connection.keeper
        super().__init__(connection, **kwargs)

    def _new_boto_client(self, *args: Any, **kwargs: Any) -> Any:
        client = super()._new_boto_client(*args, **kwargs)
        client.meta.events.register("before-call.sqs", note_call)
        return client

    def sqs(self, queue: str | None = None) -> Any:
        return collecting(super().sqs(queue))

    def keeper_client(self, queue_url: str) -> Any:
        """A client that gives up within seconds: the keeper's next beat must not wait."""
        return self.new_client(self._predefined(queue_url), self.release_client_config)

    def _predefined(self, queue_url: str) -> str | None:
        queues = self.predefined_queues.items()
        return next((name for name, q in queues if q["url"] == queue_url), None)

    def _let_go(self, receipt: str) -> None:
        self._keeper.give_up(receipt)

    def settled(self, receipt: str) -> None:
        self._keeper.release(receipt)
        super().settled(receipt)

    def basic_ack(self, delivery_tag: str, multiple: bool = False) -> None:
        """Have the message deleted, with others; if that fails, kept from others until it
        works.

        Stock asks for each, while the event loop waits. A message that it could not delete
        it forgets, so that it runs a second time, and a 403 ends the worker.
        """
        try:
            url = self.qos.get(delivery_tag).delivery_info["sqs_queue"]
        except KeyError:  # settled before, as when the connection closed
            return
        self._keeper.delete(delivery_tag, url, partial(self.keeper_client, url))
        self.qos.ack(delivery_tag)

    def _restore(self, message: Any) -> None:
        """Show the message to others after its `requeue_backoff`.

        Stock hides it for `wait_time_seconds` more, however often it came, and an error
        here, as after the receipt expired, ends the worker. Such a message comes back by
        itself.
        """
        info = message.delivery_info
        url = info["sqs_queue"]
        self._keeper.give_up(message.delivery_tag)
        backoff = self.transport_options.get("requeue_backoff", REQUEUE_BACKOFF)
        count = _receive_count(info["sqs_message"])
        try:
            self.sqs(queue=self._predefined(url)).change_message_visibility(
                QueueUrl=url,
                ReceiptHandle=message.delivery_tag,
                VisibilityTimeout=backoff[min(count, len(backoff)) - 1],
            )
        except (ClientError, BotoCoreError) as error:
            logger.warning("Not requeued, comes back by itself: %s", error)

    def _envelope_payload(
        self, payload: Any, raw_text: str, message: Any, q_url: str
    ) -> Any:
        """Hold a message that was received, and say whether it came before.

        Stock does neither.
        """
        payload = super()._envelope_payload(payload, raw_text, message, q_url)
        info = payload["properties"]["delivery_info"]
        info["redelivered"] = _receive_count(message) > 1
        make_client = partial(self.keeper_client, q_url)
        self._keeper.hold(message["ReceiptHandle"], q_url, make_client)
        return payload

    def _put(self, queue: str, message: Any, **kwargs: Any) -> None:
        """Let SQS do what it can of the waiting, and name the fair queue's group.

        Stock delivers a message with an ETA at once, to wait in the worker. The group
        is a header because nothing else outlives a retry.
        """
        if not queue.endswith(".fifo"):
            headers = message.get("headers") or {}
            properties = message["properties"]
            if delay := _seconds_until(headers.get("eta")):
                properties.setdefault("DelaySeconds", delay)
            if group := headers.get(FAIR_QUEUE_GROUP):
                properties.setdefault("MessageGroupId", group)
        super()._put(queue, message, **kwargs)

    def _create_queue(self, queue_name: str, attributes: dict[str, str]) -> Any:
        """Stock creates queues that deliver a poisonous message for ever."""
        terms = self.transport_options.get("dead_letters", DEAD_LETTERS)
        if terms and not self.predefined_queues:
            attributes["RedrivePolicy"] = json.dumps(
                {
                    "deadLetterTargetArn": self._dead_letter_arn(
                        queue_name, terms["suffix"]
                    ),
                    "maxReceiveCount": terms["max_receive_count"],
                }
            )
        return super()._create_queue(queue_name, attributes)

    def _dead_letter_arn(self, queue_name: str, suffix: str) -> str:
        attributes = {"MessageRetentionPeriod": str(DEAD_LETTER_RETENTION)}
        base, fifo, _ = queue_name.partition(".fifo")
        if fifo:
            attributes["FifoQueue"] = "true"
        client = self.sqs(queue=queue_name)
        url = client.create_queue(
            QueueName=f"{base}{suffix}{fifo}", Attributes=attributes
        )["QueueUrl"]
        answer = client.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        return str(answer["Attributes"]["QueueArn"])


class Transport(SQS.Transport):
    """See the module."""

    Channel = Channel

    # At its start a worker tries again after any error of SQS; stock ends on most.
    connection_errors = (*SQS.Transport.connection_errors, ClientError)

    def __init__(self, client: Any, **kwargs: Any):
        super().__init__(client, **kwargs)
        options = client.transport_options
        timeout = options.get(
            "visibility_timeout", SQS.Channel.default_visibility_timeout
        )
        self.keeper = VisibilityKeeper(
            int(timeout), options.get("visibility_cap", LONGEST_CAP)
        )

    def register_with_event_loop(self, connection: Any, loop: Any) -> None:
        """Poll from the loop of Celery's worker, also after a reconnection.

        An error out of the loop makes Celery reset it, and kombu then forgets that there
        is one: the first channel of the next connection was made without it.
        """
        set_event_loop(loop)
        for channel in connection.channels:
            channel.hub = loop

    def close_connection(self, connection: Any) -> None:
        super().close_connection(connection)
        self.keeper.stop()


def _receive_count(message: Any) -> int:
    return int(message.get("Attributes", {}).get("ApproximateReceiveCount", 1))


def _seconds_until(eta: str | None) -> int:
    """Whole seconds from now, at most SQS's; 0 for none, past, or without a time zone."""
    when = datetime.fromisoformat(eta) if eta else None
    if when is None or when.tzinfo is None:
        return 0
    left = int((when - datetime.now(UTC)).total_seconds())
    return max(0, min(left, LONGEST_DELAY))
