"""Messages over PostgreSQL's notifications: who listens gets them, whole and in order."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import psycopg
import pytest
from kombu import Connection, Consumer, Exchange, Producer, Queue
from kombu.exceptions import ChannelError

from workers import bus, monitor

EVENTS = Exchange("celeryev", type="topic")
REPLIES = Exchange("reply.celery.pidbox", type="direct")


class End:
    """One process's connection."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.heard: list[Any] = []

    def listen(self, exchange: Exchange, routing_key: str, name: str = "q") -> None:
        queue = Queue(name, exchange, routing_key)
        own = Consumer(self.connection, [queue], callbacks=[self._hear], no_ack=True)
        own.consume()

    def _hear(self, body: Any, message: Any) -> None:
        self.heard.append(body)

    def say(self, body: Any, exchange: Exchange, routing_key: str) -> None:
        producer = Producer(self.connection, exchange)
        producer.publish(body, routing_key=routing_key, serializer="json")

    def hear(self, number: int) -> list[Any]:
        while len(self.heard) < number:
            self.connection.drain_events(timeout=5)
        return self.heard

    def hears_nothing_more(self) -> bool:
        with pytest.raises(TimeoutError):
            self.connection.drain_events(timeout=0.3)
        return True


@pytest.fixture
def ends(database) -> Iterator[list[End]]:
    with ExitStack() as stack:
        yield [
            End(stack.enter_context(monitor.connection(database, "test")))
            for _ in range(3)
        ]


def test_everybody_who_listens_hears_it(ends):
    one, other, speaker = ends
    one.listen(EVENTS, "#")
    other.listen(EVENTS, "task.*")
    speaker.say({"n": 1}, EVENTS, "worker.online")
    speaker.say({"n": 2}, EVENTS, "task.received")

    assert one.hear(2) == [{"n": 1}, {"n": 2}]
    assert other.hear(1) == [{"n": 2}]
    assert other.hears_nothing_more()


def test_an_answer_reaches_only_who_asked(ends):
    one, other, speaker = ends
    one.listen(REPLIES, "me", "one")
    other.listen(REPLIES, "you", "other")
    speaker.say("for you", REPLIES, "you")

    assert other.hear(1) == ["for you"]
    assert one.hears_nothing_more()


@pytest.mark.parametrize("size", [7000, 8000, 100_000, 800_000])
def test_what_is_larger_than_a_notification_comes_whole(ends, size):
    one, _, speaker = ends
    one.listen(EVENTS, "#")
    text = "ä“\n\0" * (size // 20)  # escaped, each takes several bytes
    speaker.say(text, EVENTS, "task.multi")
    speaker.say("next", EVENTS, "task.multi")

    assert one.hear(2) == [text, "next"]


def test_what_is_far_too_large_is_refused(ends):
    with pytest.raises(ChannelError):
        ends[0].say("x" * (bus.LARGEST + 1), EVENTS, "task.multi")


def test_tasks_do_not_travel_here(ends):
    with pytest.raises(ChannelError, match="for monitoring"):
        ends[0].say("work", Exchange("gpu", type="direct"), "gpu")


def test_a_queue_that_nobody_reads_stays_small(ends, monkeypatch):
    one, _, speaker = ends
    one.listen(EVENTS, "#", "read")
    monkeypatch.setattr(bus, "LONGEST_QUEUE", 5)
    Queue("unread", EVENTS, "#")(one.connection.default_channel).declare()
    for number in range(20):
        speaker.say(number, EVENTS, "task.sent")
    one.hear(20)

    channel = one.connection.default_channel
    assert channel.queue_declare("unread").message_count == 5


@pytest.mark.parametrize(
    "payload", ["", "nonsense", "a 0 1 {", "a 1 2 later", "a x y z", 'b 0 1 ["k", 3]']
)
def test_nonsense_is_not_heard(ends, database, payload):
    one, _, speaker = ends
    one.listen(EVENTS, "#")
    one.connection.connect()
    with psycopg.connect(database, autocommit=True) as stranger:
        stranger.execute("SELECT pg_notify('monitoring celeryev', %s)", [payload])
    speaker.say("sense", EVENTS, "task.sent")

    assert one.hear(1) == ["sense"]


def test_a_message_that_lost_pieces_is_forgotten(ends):
    pieces = bus.Pieces()
    lost = pieces.of("x" * 3 * bus.PIECE)
    reader = bus.Pieces()

    assert reader.join(lost[0]) is None
    assert reader.join(lost[2]) is None
    assert reader.join(lost[1]) is None
    for _ in range(2 * bus.MOST_BEGUN):
        assert reader.join(pieces.of("y" * 2 * bus.PIECE)[0]) is None
    assert len(reader._begun) == bus.MOST_BEGUN
