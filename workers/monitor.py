"""Let Flower see the workers of an app whose broker is SQS, and let it speak to them.

    app.conf.monitor_database = "postgresql://…"   # or nothing: no monitoring
    app.conf.worker_send_task_events = True
    monitor.install(app)

Events and remote control travel over `workers.bus`. One daemon thread of the worker's
first process has one connection for both; the tasks' own threads and processes only put
events into a bounded list. While the database is away events are kept, then the oldest
are lost; the work never waits for it and never fails of it.

Of the commands those are offered that work here: see `workers.commands`.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import deque
from typing import Any

from celery import bootsteps
from celery.app.events import Events
from celery.events import EventDispatcher
from celery.events.event import Event, get_exchange
from celery.utils.sysinfo import load_average
from celery.utils.time import utcoffset
from celery.worker.state import SOFTWARE_INFO, active_requests, all_total_count
from kombu import Connection, Producer

from workers import commands
from workers.presence import connection_name

logger = logging.getLogger(__name__)

# Seconds.
TICK = 0.5  # how late an event may be
BEAT = 5.0  # between two heartbeats; after two of them a worker counts as offline
FIRST_PAUSE = 1.0  # before connecting again; doubled each time
LONGEST_PAUSE = 30.0
LAST_WORDS = 2.0  # how long a worker that stops waits for them to be sent

LONGEST_OUTBOX = 5000
"""Events, or lists of them, that wait to be sent; the oldest is lost for one more."""
AT_ONCE = 24
"""Most events in one message."""

URL = "bus://localhost"
TRANSPORT = "workers.bus:Transport"

_outbox: deque[Any] = deque(maxlen=LONGEST_OUTBOX)
"""Of this process. What the children of a pool put into theirs nobody sends: all events
of tasks come from the first process."""


def install(app: Any) -> None:
    """Monitor every worker of the app; to be called once, before one starts."""
    app.events_cls = _Events
    app.steps["consumer"].add(Monitor)


def connection(database: str, name: str) -> Connection:
    """To the bus; not open yet."""
    options = {"database": database, "name": name}
    return Connection(URL, transport=TRANSPORT, transport_options=options)


class Dispatcher(EventDispatcher):
    """Puts events into the outbox. Celery's own sends them to the broker, and waits."""

    def _publish(self, event: Any, *args: Any, **kwargs: Any) -> None:
        _outbox.append(event)

    def send(self, type: str, *args: Any, **kwargs: Any) -> None:
        # Celery's heartbeats come from the event loop, which the solo pool blocks.
        if not type.startswith("worker-"):
            super().send(type, *args, **kwargs)


class _Events(Events):
    dispatcher_cls: Any = Dispatcher


class Monitor(bootsteps.StartStopStep):
    """The part of a worker that is seen, and hears."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, consumer: Any, **kwargs: Any):
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        super().__init__(consumer, **kwargs)

    def include_if(self, consumer: Any) -> bool:
        return bool(consumer.app.conf.get("monitor_database"))

    def start(self, consumer: Any) -> None:
        self._stopping = threading.Event()
        voice = _Voice(consumer, self._stopping)
        self._thread = threading.Thread(target=voice.run, name="monitor", daemon=True)
        self._thread.start()

    def stop(self, consumer: Any) -> None:
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(LAST_WORDS)
            self._thread = None

    shutdown = stop


class _Voice:
    """The thread: connects, and connects again, until it is told to stop."""

    def __init__(self, consumer: Any, stopping: threading.Event):
        self._consumer = consumer
        self._stopping = stopping
        self._pause = FIRST_PAUSE
        self._is_away = False

    def run(self) -> None:
        app = self._consumer.app
        name = connection_name(
            self._consumer.hostname, list(app.amqp.queues.consume_from)
        )
        while not self._stopping.is_set():
            try:
                with connection(app.conf.monitor_database, name) as bus:
                    self._speak(bus)
            except Exception as error:  # noqa: BLE001 (nothing here may end the worker)
                self._say_away(error)
                self._stopping.wait(self._pause)
                self._pause = min(2 * self._pause, LONGEST_PAUSE)

    def _speak(self, bus: Connection) -> None:
        bus.connect()
        channel = bus.channel()
        commands.listen(self._consumer, channel)
        producer = Producer(channel, get_exchange(bus), auto_declare=True)
        self._send(producer, [self._sign_of_life("worker-online")])
        self._is_away, self._pause = False, FIRST_PAUSE
        next_beat = time.monotonic() + BEAT
        while not self._stopping.is_set():
            with contextlib.suppress(TimeoutError):
                bus.drain_events(timeout=TICK)
            if time.monotonic() >= next_beat:
                next_beat += BEAT
                _outbox.append(self._sign_of_life("worker-heartbeat"))
            self._empty_outbox(producer)
        _outbox.append(self._sign_of_life("worker-offline"))
        self._empty_outbox(producer)

    def _empty_outbox(self, producer: Producer) -> None:
        while _outbox:
            events: list[Any] = []
            while _outbox and len(events) < AT_ONCE:
                found = _outbox.popleft()
                events += found if isinstance(found, list) else [found]
            try:
                self._send(producer, events)
            except Exception:
                _outbox.extendleft(reversed(events))
                raise

    def _send(self, producer: Producer, events: list[Any]) -> None:
        producer.publish(
            events,
            routing_key="task.multi",
            serializer="json",
            headers={"hostname": self._consumer.hostname},
        )

    def _sign_of_life(self, kind: str) -> Any:
        facts: dict[str, Any] = dict(SOFTWARE_INFO)
        return Event(
            kind,
            hostname=self._consumer.hostname,
            utcoffset=utcoffset(),
            pid=self._consumer.pid,
            clock=self._consumer.app.clock.forward(),
            freq=BEAT,
            active=len(active_requests),
            processed=all_total_count[0],
            loadavg=load_average(),
            **facts,
        )

    def _say_away(self, error: Exception) -> None:
        if not self._is_away:
            logger.warning("Not monitored; the work goes on: %s", error)
        self._is_away = True
