"""Taking more messages than there are free slots, where tasks are short.

A slot that becomes free costs a poll. Ten messages a poll would cost a tenth, but what waits
in a worker behind a long task others cannot do meanwhile, and that is why Celery's own
prefetching is off. So it is a matter of time, not of number: as much is taken ahead as the
slots do within `AHEAD` seconds, by the longest of their last tasks. It waits in the channel
and not in the worker, and what has waited in vain for `PATIENCE` goes back to the queue.
"""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

from kombu.transport import SQS

MOST = 10  # messages a poll, of SQS

# Seconds.
AHEAD = 1.0
PATIENCE = 2.0
LAST = 8
"""Tasks that must have been short before anything is taken ahead of them."""


class Waiting(NamedTuple):
    """A message that was received, decoded and held, and that no slot has taken yet."""

    message: Any
    """As SQS gave it."""
    payload: Any
    since: float
    """By the monotonic clock."""


class Pace:
    """How long the last tasks took, from being handed over until they were settled.

    Told from any thread."""

    def __init__(self) -> None:
        self._begun: dict[str, float] = {}  # by receipt
        self._took: deque[float] = deque(maxlen=LAST)

    def begin(self, receipt: str) -> None:
        self._begun[receipt] = time.monotonic()

    def end(self, receipt: str) -> None:
        if (begun := self._begun.pop(receipt, None)) is not None:
            self._took.append(time.monotonic() - begun)

    def ahead(self, slots: int) -> int:
        """Messages that so many slots get done within `AHEAD`."""
        took = list(self._took)
        if len(took) < LAST:
            return 0
        return int(slots * AHEAD / max(*took, 1e-3))


class AheadChannel(SQS.Channel):
    """The waiting room of the channel."""

    def __init__(self, *args: Any, **kwargs: Any):
        self._pace = Pace()
        self._ahead: defaultdict[str, deque[Waiting]] = defaultdict(deque)  # by queue
        super().__init__(*args, **kwargs)

    def _get_bulk_async(self, queue: str, callback: Any = None) -> Any:
        count = self._get_message_estimate() + self._pace.ahead(self.qos.prefetch_count)
        return self._get_async(queue, min(count, MOST), callback=callback)

    def _take(self, queue: str, messages: Iterable[tuple[Any, Any]]) -> None:
        """Messages, each as SQS gave it and decoded, for the worker when it has room."""
        waiting, since = self._ahead[queue], time.monotonic()
        waiting.extend(Waiting(*message, since) for message in messages)
        self._hand_over(queue)
        if waiting:
            self.hub.call_later(PATIENCE, self._lose_patience, queue)

    def _hand_over(self, queue: str) -> None:
        """Give the worker what it has room for."""
        waiting = self._ahead[queue]
        while waiting and (self.hub is None or self.qos.can_consume()):
            deliver = self.connection._callbacks[queue]
            message, payload, _ = waiting.popleft()
            self._pace.begin(message["ReceiptHandle"])
            with self._leaving_poison(message):
                deliver(payload)

    def settled(self, receipt: str) -> None:
        """The message is no longer ours. From any thread."""
        self._pace.end(receipt)

    def basic_cancel(self, consumer_tag: str) -> None:
        super().basic_cancel(consumer_tag)
        for queue in set(self._ahead) - set(self._active_queues):
            self._give_back(queue, self._ahead.pop(queue))

    def _lose_patience(self, queue: str) -> None:
        """A task takes longer than those before it: let others do what waits behind it."""
        waiting, late = self._ahead[queue], time.monotonic() - PATIENCE
        count = sum(each.since <= late for each in waiting)
        self._give_back(queue, [waiting.popleft() for _ in range(count)])

    def _give_back(self, queue: str, waiting: Iterable[Waiting]) -> None:
        messages = [each.message for each in waiting]
        for message in messages:
            self._let_go(message["ReceiptHandle"])
        if messages:
            self._release_messages(self._new_queue(queue), queue, messages)

    def _let_go(self, receipt: str) -> None:
        """The message is given back: nothing may hold it any more."""
        raise NotImplementedError

    def _leaving_poison(self, message: Any) -> AbstractContextManager[None]:
        """Inside, an error leaves the message where it is."""
        raise NotImplementedError
