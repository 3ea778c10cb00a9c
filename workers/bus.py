"""A kombu transport on PostgreSQL's LISTEN and NOTIFY, for monitoring only.

    Connection("bus://localhost", transport="workers.bus:Transport",
               transport_options={"database": "postgresql://…", "name": "worker gpu …"})

Celery's events and remote control are broadcast: who listens gets them, and nobody else
needs them. That is what NOTIFY does, without a table: nothing is written that somebody
would have to delete, and a process that dies leaves nothing. A queue lives in the process
that declared it, and holds as many messages as it may; then the oldest are dropped.

Tasks do not travel here. Options: `database`, a libpq connection string, of a connection
that is not pooled per transaction (LISTEN needs a session); `name`, the connection's in
`pg_stat_activity`.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import time
import uuid
import weakref
from collections import OrderedDict, deque
from queue import Empty
from typing import Any

import psycopg
from kombu.exceptions import ChannelError
from kombu.transport import virtual
from psycopg import sql

EXCHANGES = ("celeryev", "celery.pidbox", "reply.celery.pidbox")
"""Celery's names for events, commands and the answers to those."""
PIECE = 7900
"""Bytes of a message that go into one notification, which has room for 7999."""
LARGEST = 1024 * 1024
"""Bytes of a message; larger ones are refused."""
LONGEST_QUEUE = 10_000
"""Messages; the oldest is dropped for one more."""
MOST_BEGUN = 100
"""Messages of which pieces are missing; the oldest is dropped for one more."""

_SEND = "SELECT pg_notify(%s, piece) FROM unnest(%s::text[]) AS piece"

_sessions: weakref.WeakSet[psycopg.Connection[Any]] = weakref.WeakSet()


def _let_go() -> None:
    """A fork's copy of the socket would keep the session alive after our death."""
    for session in _sessions:
        with contextlib.suppress(psycopg.Error, OSError):
            os.close(session.fileno())


os.register_at_fork(after_in_child=_let_go)


class Pieces:
    """Notifications, and what they are pieces of.

    Each begins with the message's id, its own number and how many there are. Those of a
    message come in order, and together: they are sent in one transaction.
    """

    def __init__(self) -> None:
        self._sender = uuid.uuid4().hex
        self._numbers = itertools.count()
        self._begun: OrderedDict[str, list[str]] = OrderedDict()

    def of(self, message: str) -> list[str]:
        if len(message) > LARGEST:
            raise ChannelError(f"{len(message)} bytes are too many for a notification")
        texts = [message[at : at + PIECE] for at in range(0, len(message), PIECE)]
        name = f"{self._sender}-{next(self._numbers)}"
        return [
            f"{name} {number} {len(texts)} {text}" for number, text in enumerate(texts)
        ]

    def join(self, notification: str) -> str | None:
        """The message that is complete with it; nonsense, as anybody may notify, is none."""
        try:
            name, number, total, text = notification.split(" ", 3)
            position, count = int(number), int(total)
        except ValueError:
            return None
        texts = self._begun.pop(name, [])
        if position != len(texts) or count > LARGEST // PIECE + 1:
            return None
        texts.append(text)
        if len(texts) == count:
            return "".join(texts)
        self._begun[name] = texts
        if len(self._begun) > MOST_BEGUN:
            self._begun.popitem(last=False)
        return None


class Channel(virtual.Channel):
    """Publishes to everybody who listens; queues and bindings are this process's own."""

    supports_fanout = True  # only so that `_queue_bind` is called
    do_restore = False
    body_encoding = "utf-8"

    def basic_publish(
        self, message: Any, exchange: str, routing_key: str, **kwargs: Any
    ) -> None:
        self._inplace_augment_message(message, exchange, routing_key)
        self.connection.notify(exchange, json.dumps([routing_key, message]))

    def receive(self, exchange: str, routing_key: str, message: Any) -> None:
        self.Message(message, channel=self)  # or it would end who reads the queue
        for queue in self._lookup(exchange, routing_key):
            self._put(queue, message)

    def _queue_bind(
        self, exchange: str, routing_key: str, pattern: Any, queue: str
    ) -> None:
        self.connection.listen(exchange)

    def _new_queue(self, queue: str, **kwargs: Any) -> None:
        self._queues.setdefault(queue, deque(maxlen=LONGEST_QUEUE))

    def _put(self, queue: str, message: Any, **kwargs: Any) -> None:
        if queue in self._queues:
            self._queues[queue].append(message)

    def _get(self, queue: str, timeout: float | None = None) -> Any:
        try:
            return self._queues[queue].popleft()
        except (KeyError, IndexError):
            raise Empty from None

    def _size(self, queue: str) -> int:
        return len(self._queues.get(queue, ()))

    def _purge(self, queue: str) -> int:
        size = self._size(queue)
        self._queues.get(queue, deque()).clear()
        return size

    def _delete(self, queue: str, *args: Any, **kwargs: Any) -> None:
        self._queues.pop(queue, None)

    @property
    def _queues(self) -> dict[str, deque[Any]]:
        queues: dict[str, deque[Any]] = self.connection.queues
        return queues


class Transport(virtual.Transport):
    """See the module. One session of PostgreSQL for each connection of kombu."""

    Channel = Channel
    driver_type = driver_name = "bus"
    connection_errors = (
        *virtual.Transport.connection_errors,
        psycopg.OperationalError,
        psycopg.InterfaceError,
    )
    channel_errors = (*virtual.Transport.channel_errors, psycopg.Error)
    implements = virtual.Transport.implements.extend(
        asynchronous=False, exchange_type=frozenset(["direct", "topic", "fanout"])
    )

    def __init__(self, client: Any, **kwargs: Any):
        super().__init__(client, **kwargs)
        self.queues: dict[str, deque[Any]] = {}
        self._pieces = Pieces()
        self._session: psycopg.Connection[Any] | None = None
        self._heard: set[str] = set()

    def driver_version(self) -> str:
        return psycopg.__version__

    def establish_connection(self) -> Any:
        options = self.client.transport_options
        name = options.get("name", "monitoring")
        session = psycopg.connect(
            options["database"], autocommit=True, application_name=name
        )
        _sessions.add(session)
        self._session = session
        return super().establish_connection()

    def close_connection(self, connection: Any) -> None:
        super().close_connection(connection)
        if self._session is not None:
            self._session.close()
            self._session = None

    def notify(self, exchange: str, message: str) -> None:
        if exchange not in EXCHANGES:
            raise ChannelError(f"the bus is for monitoring, not for {exchange!r}")
        self._live().execute(_SEND, [_topic(exchange), self._pieces.of(message)])

    def listen(self, exchange: str) -> None:
        if exchange not in self._heard:
            topic = sql.Identifier(_topic(exchange))
            self._live().execute(sql.SQL("LISTEN {}").format(topic))
            self._heard.add(exchange)

    def drain_events(self, connection: Any, timeout: float | None = None) -> None:
        """Deliver one message; `TimeoutError` when none comes in time."""
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            try:
                self.cycle.get(self._deliver, timeout=timeout)
                return
            except Empty:
                left = 5.0 if end is None else end - time.monotonic()
            if left <= 0:
                raise TimeoutError
            found = self._live().notifies(timeout=min(left, 5.0), stop_after=1)
            for notification in found:
                self._receive(notification)

    def _live(self) -> psycopg.Connection[Any]:
        if self._session is None:
            raise psycopg.InterfaceError("the connection is closed")
        return self._session

    def _receive(self, notification: psycopg.Notify) -> None:
        exchange = _exchange(notification.channel)
        if (text := self._pieces.join(notification.payload)) is None:
            return
        try:
            routing_key, message = json.loads(text)
            for channel in tuple(self.channels[:1]):  # bindings are the connection's
                channel.receive(exchange, routing_key, message)
        except (AttributeError, KeyError, TypeError, ValueError):
            return  # somebody else's


def _topic(exchange: str) -> str:
    """PostgreSQL's name for it."""
    return f"monitoring {exchange}"


def _exchange(topic: str) -> str:
    return topic.removeprefix("monitoring ")
