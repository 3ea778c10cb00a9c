"""Polling SQS so that no answer, and no missing one, ends or stops a worker.

kombu 5.7.0 polls from Celery's event loop through curl. Its own way of doing so ends the
worker on a 5xx, a reset or a timeout, and goes deaf on a 4xx, a connection that hangs or
one undecodable message.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from queue import Empty
from typing import Any

import pycurl
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from kombu.asynchronous.aws.sqs.connection import AsyncSQSConnection
from kombu.asynchronous.http.curl import CurlClient
from vine import promise

from workers.ahead import AheadChannel
from workers.hearing import note_poll

logger = logging.getLogger(__name__)

# Seconds.
FIRST_PAUSE = 0.5  # after a failed poll; doubled after each further one
LONGEST_PAUSE = 30.0
LONGEST_SLEEP = 2.0  # the same where the whole worker sleeps, deaf to signals
CONNECT_TIMEOUT = 5
ANSWER_MARGIN = 10  # beyond the long poll itself
_KEPT_OF_BODY = 300  # bytes of an error's answer that are worth a log line


@dataclass(frozen=True, slots=True)
class PollFailure:
    """A poll that brought no answer of SQS's, and why."""

    reason: str


class PollClient(CurlClient):
    """kombu's curl client, with timeouts, and with an end that curl survives."""

    def __init__(self, hub: Any, *, connect_timeout: float, timeout: float):
        super().__init__(hub)
        self.connect_timeout = connect_timeout
        self.timeout = timeout

    def _setup_request(self, curl: Any, *args: Any, **kwargs: Any) -> None:
        """Stock sets no timeout: on a half-open connection a poll hangs for ever."""
        super()._setup_request(curl, *args, **kwargs)
        curl.setopt(pycurl.NOSIGNAL, 1)
        curl.setopt(pycurl.CONNECTTIMEOUT_MS, int(self.connect_timeout * 1000))
        curl.setopt(pycurl.TIMEOUT_MS, int(self.timeout * 1000))
        curl.setopt(pycurl.TCP_KEEPALIVE, 1)

    def _set_timeout(self, msecs: int) -> None:
        """Stock takes curl's milliseconds for seconds, and -1 (no timer) for now."""
        if msecs >= 0:
            self.hub.call_later(msecs / 1000, self._timeout_check)

    def _timeout_check(self, *args: Any) -> None:
        """Timers outlive the client; stock's then reads from a closed curl."""
        if not self._closed:
            super()._timeout_check(*args)

    def _on_hub_close(self, hub: Any) -> None:
        self._fds.clear()  # the hub has dropped them, with the poller they were in
        super()._on_hub_close(hub)

    def close(self) -> None:
        """Hang up. Stock closes handles in mid-transfer, and leaves them in the hub."""
        if not self._closed:
            self._pop_from_hub()
            for curl in set(self._curls) - set(self._free_list):
                self._multi.remove_handle(curl)
        super().close()


class PollConnection(AsyncSQSConnection):
    """Answers a failed poll with a PollFailure.

    Stock answers an empty list, which its own channel cannot read (5xx, timeouts), or
    raises into the event loop, which never polls again (4xx).
    """

    def _on_list_ready(
        self, parent: Any, markers: Any, operation: Any, response: Any
    ) -> Any:
        try:
            if response.status == self.STATUS_CODE_OK:
                return super()._on_list_ready(parent, markers, operation, response)
        except Exception as error:  # (whatever a proxy sent with its 200)
            logger.exception("SQS's answer could not be read")
            return PollFailure(repr(error))
        body = (response.read() or b"")[:_KEPT_OF_BODY].decode(errors="replace")
        return PollFailure(f"HTTP {response.status} {response.reason} {body}")


class PollingChannel(AheadChannel):
    """The receiving half of the channel."""

    def __init__(self, *args: Any, **kwargs: Any):
        self._polled: set[str] = set()  # queues with a poll under way
        self._starved: set[str] = set()  # queues that wait for a free slot
        self._failures: dict[str, int] = {}  # polls in a row, by queue
        self._client: PollClient | None = None
        self._sync_clients: dict[str, Any] = {}  # by SQS's name, without an event loop
        super().__init__(*args, **kwargs)

    def asynsqs(self, queue: str | None = None) -> PollConnection:
        names = self.get_message_attributes
        return PollConnection(
            self.sqs(queue=queue),
            http_client=self._poll_client(),
            message_system_attribute_names=names["MessageSystemAttributeNames"],
            message_attribute_names=names["MessageAttributeNames"],
        )

    def _poll_client(self) -> PollClient:
        if self._client is None or self._client._closed:
            connect, whole = self._limits()
            self._client = PollClient(self.hub, connect_timeout=connect, timeout=whole)
        return self._client

    def _sync_client(self, name: str) -> Any:
        if name not in self._sync_clients:
            connect, whole = self._limits()
            config = Config(
                connect_timeout=connect,
                read_timeout=whole,
                retries={"total_max_attempts": 1},
            )
            self._sync_clients[name] = self.new_client(name, config)
        return self._sync_clients[name]

    def _limits(self) -> tuple[float, float]:
        """Seconds to connect, and for the whole poll."""
        config = self.transport_options.get("client-config") or {}
        connect: float = config.get("connect_timeout", CONNECT_TIMEOUT)
        return connect, self.wait_time_seconds + ANSWER_MARGIN

    def new_client(self, name: str | None, config: Config) -> Any:
        """A boto client for the queue of that name in SQS; config beats the options'."""
        own = self.predefined_queues.get(name, {})
        return self._new_boto_client(
            service="sqs",
            region=own.get("region", self.region),
            access_key_id=own.get("access_key_id", self.conninfo.userid),
            secret_access_key=own.get("secret_access_key", self.conninfo.password),
            config=config,
        )

    def basic_cancel(self, consumer_tag: str) -> None:
        """Hang up when nobody consumes any more.

        The threads pool ends without turning the event loop again. A poll left open
        would take a message that nobody reads until its visibility ends.
        """
        super().basic_cancel(consumer_tag)
        if not self._consumers and self._client is not None:
            self._client.close()
            self._polled.clear()

    def basic_qos(self, *args: Any, **kwargs: Any) -> None:
        super().basic_qos(*args, **kwargs)
        self.rearm()

    def settled(self, receipt: str) -> None:
        """The message is no longer ours. From any thread."""
        super().settled(receipt)
        self.rearm()

    def rearm(self) -> None:
        """A slot is free: poll the queues that waited for one. From any thread. Stock
        looks again after `polling_interval`: two slots do four short tasks a second."""
        while self._starved:
            try:
                queue = self._starved.pop()
            except KeyError:  # another thread was faster
                return
            self.hub.call_soon(self._schedule_queue, queue)
            # The event loop may have looked at what is due before this was, in the same
            # turn, and would then wait for up to a second.
            if self.hub._waker is not None:
                self.hub._waker.wake()

    def _schedule_queue(self, queue: str) -> None:
        if queue not in self._active_queues or queue in self._polled:
            return
        self._hand_over(queue)
        if self._ahead[queue] or not self.qos.can_consume():
            self._starved.add(queue)
            if self.qos.can_consume():  # a slot became free between the two
                self.rearm()
            return
        self._polled.add(queue)
        note_poll()
        try:
            self._get_bulk_async(queue, callback=promise(self._loop1, (queue,)))
        except Exception as error:  # (it would end the worker, or the polls)
            logger.exception("The poll of %s could not begin", queue)
            self._polled.discard(queue)
            self._loop1(queue, PollFailure(repr(error)))

    def _on_messages_ready(
        self, url: str, queue: str, answer: Any
    ) -> int | PollFailure:
        self._polled.discard(queue)
        if isinstance(answer, PollFailure):
            return answer
        messages = answer.get("Messages") or []
        if messages and queue in self.connection._callbacks:
            self._deliver(messages, queue)
        elif messages:
            self._release_messages(url, queue, messages)
        return len(messages)

    def _loop1(self, queue: str, messages_fetched: int | PollFailure = 0) -> None:
        if not isinstance(messages_fetched, PollFailure):
            self._failures.pop(queue, None)
            super()._loop1(queue, messages_fetched)
            return
        pause = self._failed(queue, messages_fetched.reason)
        self.hub.call_later(pause, self._schedule_queue, queue)

    def _receive_message(
        self, queue: str, max_number_of_messages: int = 1, **kwargs: Any
    ) -> dict[str, Any]:
        """Without an event loop, where an error of boto's would end the worker. Stock
        forgets the prefix of predefined queues, and how long a poll may take."""
        note_poll()
        try:
            client = self._sync_client(self.canonical_queue_name(queue))
            answer: dict[str, Any] = client.receive_message(
                QueueUrl=self._new_queue(queue),
                MaxNumberOfMessages=max_number_of_messages,
                WaitTimeSeconds=self.wait_time_seconds,
                **self.get_message_attributes,
            )
        except (ClientError, BotoCoreError) as error:
            time.sleep(min(self._failed(queue, str(error)), LONGEST_SLEEP))
            return {}
        self._failures.pop(queue, None)
        return answer

    def _failed(self, queue: str, reason: str) -> float:
        """Seconds until the next poll after one more that failed.

        A queue that was deleted is looked up, or made, again.
        """
        count = self._failures[queue] = self._failures.get(queue, 0) + 1
        pause: float = min(FIRST_PAUSE * 2 ** min(count - 1, 10), LONGEST_PAUSE)
        logger.warning("Poll of %s failed, next in %.1f s: %s", queue, pause, reason)
        if not self.predefined_queues and (
            "QueueDoesNotExist" in reason or "NonExistentQueue" in reason
        ):
            self._queue_cache.pop(self.canonical_queue_name(queue), None)
        return pause

    def _get_bulk(self, queue: str, *args: Any, **kwargs: Any) -> None:
        """The same without an event loop."""
        answer = self._receive_message(queue, self._get_message_estimate())
        if not (messages := answer.get("Messages")):
            raise Empty
        self._deliver(messages, queue)

    def _deliver(self, messages: list[Any], queue: str) -> None:
        """Hand messages to the worker. What it cannot take is left where it is.

        Stock lets the errors of decoding, and Celery those of an envelope that lacks
        something, end the polling or the whole worker. A redrive policy takes care of
        such a message.
        """
        url = self._new_queue(queue)
        payloads = []
        for message in messages:
            with self._leaving_poison(message):
                payloads.append((message, self._message_to_python(message, queue, url)))
        # Only now: the solo pool runs a task in here, while the others wait.
        self._take(queue, payloads)

    @contextmanager
    def _leaving_poison(self, message: Any) -> Iterator[None]:
        try:
            yield
        except Exception:  # (a message can be wrong in any way)
            logger.exception("Poisonous message %s", message.get("MessageId"))
            receipt = message["ReceiptHandle"]
            if receipt in self.qos._delivered:
                self.qos.reject(receipt)
            else:
                self.settled(receipt)
