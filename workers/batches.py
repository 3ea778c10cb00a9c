"""`publish_batch()`: what is published inside goes out ten messages a call."""

from __future__ import annotations

import itertools
import json
import logging
import math
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from celery.exceptions import Ignore

logger = logging.getLogger(__name__)

# Limits of SendMessageBatch.
MOST_ENTRIES = 10
MOST_BYTES = 1024 * 1024
# Seconds before each further attempt at the entries that SQS did not take.
PAUSES = (0.1, 0.2, 0.4, 0.8, 1.6)
SEND_WITHIN = 10.0  # seconds, for a whole batch, where a page may be waiting

Entry = dict[str, Any]


class PublishError(Exception):
    """SQS did not take some of the messages, after several attempts."""

    def __init__(self, unsent: int, total: int, reason: str):
        super().__init__(unsent, total, reason)  # so that it can be pickled
        self.unsent = unsent

    def __str__(self) -> str:
        unsent, total, reason = self.args
        return f"SQS did not take {unsent} of {total} messages: {reason}"


@dataclass(frozen=True, slots=True)
class _Outcome:
    """How many entries of a part were not taken in the end, and why not."""

    unsent: int
    reason: str
    call_failed: bool  # the last of them, as a whole


class Batch:
    """Messages that wait for the end of a block, by queue."""

    def __init__(self, within: float) -> None:
        self._within = within
        self._queues: defaultdict[str, list[Entry]] = defaultdict(list)
        self._clients: dict[str, Any] = {}

    def add(self, client: Any, queue_url: str, entry: Entry) -> None:
        self._clients[queue_url] = client
        self._queues[queue_url].append(entry)

    def send(self) -> None:
        """Send all of them, within the time that was given and that of one call.

        Raises PublishError: if SQS refuses some, after the others went out; if a call
        still fails after several attempts or the time is over, without trying the rest.
        """
        deadline = time.monotonic() + self._within
        left = total = sum(map(len, self._queues.values()))
        refused, reason = 0, ""
        for url, part in self._parts():
            if time.monotonic() >= deadline:
                reason = reason or f"not within {self._within:.0f} s"
                break
            outcome = _send(self._clients[url], url, part, deadline)
            left -= len(part)
            refused, reason = refused + outcome.unsent, outcome.reason or reason
            if outcome.call_failed:
                break
        if refused + left:
            raise PublishError(refused + left, total, reason)

    def _parts(self) -> Iterator[tuple[str, list[Entry]]]:
        for url, entries in self._queues.items():
            for part in _parts(entries):
                yield url, part


class Collecting:
    """A boto client whose messages wait in a batch; everything else it does at once."""

    def __init__(self, client: Any, batch: Batch):
        self._client = client
        self._batch = batch

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def send_message(self, *, QueueUrl: str, **entry: Any) -> None:
        self._batch.add(self._client, QueueUrl, entry)


_current: ContextVar[Batch | None] = ContextVar("sqs_batch", default=None)


def collecting(client: Any) -> Any:
    """The client, or inside `publish_batch()` one that collects what it should send."""
    batch = _current.get()
    return client if batch is None else Collecting(client, batch)


@contextmanager
def publish_batch(within: float = SEND_WITHIN) -> Iterator[None]:
    """Publish all that is published inside at the block's end, ten messages a call.

    `within`: seconds after which what was not sent yet is given up.

    A block that ends by an exception publishes nothing, except by `Ignore`: so ends
    `Task.replace()`, after it has published. Raises PublishError if SQS did not take all.
    """
    batch = Batch(within)
    token = _current.set(batch)
    try:
        yield
    except Ignore:
        batch.send()
        raise
    else:
        batch.send()
    finally:
        _current.reset(token)


def _parts(entries: list[Entry]) -> Iterator[list[Entry]]:
    part: list[Entry] = []
    size = 0
    for entry in entries:
        own = _size(entry)
        if part and (len(part) == MOST_ENTRIES or size + own > MOST_BYTES):
            yield part
            part, size = [], 0
        part.append(entry)
        size += own
    if part:
        yield part


def _size(entry: Entry) -> int:
    """Bytes that SQS counts: the body and, a little over-estimated, the attributes."""
    attributes = entry.get("MessageAttributes")
    extra = len(json.dumps(attributes, default=str).encode()) if attributes else 0
    return len(entry["MessageBody"].encode()) + extra


def _send(client: Any, url: str, part: list[Entry], deadline: float) -> _Outcome:
    """Send a part, by several attempts that all begin before the deadline."""
    waiting = {str(n): entry for n, entry in enumerate(part)}
    for pause in itertools.chain(PAUSES, (math.inf,)):
        call_failed = False
        try:
            refused, reason = _try(client, url, waiting)
        except (ClientError, BotoCoreError) as error:
            call_failed = True
            refused, reason = dict.fromkeys(waiting, True), str(error)
        waiting = {n: e for n, e in waiting.items() if n in refused}
        if not any(refused.values()) or time.monotonic() + pause >= deadline:
            break
        logger.warning("SQS did not take %d messages: %s", len(waiting), reason)
        time.sleep(pause)
    return _Outcome(len(waiting), reason, call_failed)


def _try(
    client: Any, url: str, waiting: dict[str, Entry]
) -> tuple[dict[str, bool], str]:
    """Which were refused, and whether another attempt may help; and why."""
    entries = [entry | {"Id": n} for n, entry in waiting.items()]
    answer = client.send_message_batch(QueueUrl=url, Entries=entries)
    failed = answer.get("Failed", [])
    reasons = ", ".join(sorted({str(entry.get("Code")) for entry in failed}))
    return {entry["Id"]: not entry.get("SenderFault") for entry in failed}, reasons
