"""No answer of SQS, and no missing one, ends or stops a worker."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from unittest.mock import ANY, Mock

import pytest
from botocore.exceptions import NoCredentialsError
from kombu.message import Message

from tests.faulty_sqs import FaultySqs
from tests.workers.conftest import MakeFarm
from tests.workers.harness import Farm, Worker, until
from workers.polling import PollClient

NAP = "tests.workers.app.nap"


@pytest.fixture(scope="module")
def farm(make_shared_farm: MakeFarm) -> Farm:
    farm = make_shared_farm(dead_letters={"suffix": "-dead", "max_receive_count": 2})
    farm.start("threads", slots=2).wait_ready()
    return farm


@pytest.fixture
def worker(farm: Farm) -> Worker:
    (worker,) = farm.workers
    return worker


@pytest.fixture
def works(farm: Farm, request: pytest.FixtureRequest) -> Callable[[], bool]:
    """Whether the worker still takes tasks, and ends them."""

    def asked() -> bool:
        name = f"{request.node.name}-{len(farm.log.read_text())}"
        farm.send("nap", name)
        return bool(until(farm.saw("end", name), seconds=15))

    return asked


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (500, "InternalFailure"),
        (503, "ServiceUnavailable"),
        (408, "RequestTimeout"),
        (403, "ExpiredToken"),
        (400, "ThrottlingException"),
        (None, "reset"),
    ],
)
def test_a_failed_poll_is_followed_by_another(
    farm: Farm, works: Callable[[], bool], sqs: FaultySqs, status: int | None, code: str
):
    before = sqs.counts["ReceiveMessage"]
    sqs.fail("ReceiveMessage", times=1, status=status, code=code)
    assert works()  # the poll under way brings this
    until(lambda: sqs.counts["ReceiveMessage"] >= before + 2)
    assert works()


def test_a_poll_on_a_half_open_connection_is_given_up(
    works: Callable[[], bool], sqs: FaultySqs
):
    before = sqs.counts["ReceiveMessage"]
    sqs.freeze(1)
    until(lambda: sqs.counts["ReceiveMessage"] >= before + 2, seconds=15)
    assert works()


def enveloped(**changes: object) -> str:
    """A message as Celery sends it, with something wrong."""
    message = {
        "body": base64.b64encode(b"[[], {}, {}]").decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {"task": NAP, "id": "1", "lang": "py"},
        "properties": {
            "body_encoding": "base64",
            "delivery_info": {"exchange": "", "routing_key": "q"},
            "delivery_tag": "1",
        },
    }
    return json.dumps(message | changes)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(enveloped(body=""), id="empty body"),
        pytest.param(enveloped(properties=[]), id="properties of the wrong kind"),
        pytest.param(
            enveloped(properties={"body_encoding": "rot13"}), id="unknown encoding"
        ),
        pytest.param(enveloped(body="abc"), id="body that is no base64"),
        pytest.param(enveloped(headers={"task": NAP}), id="no id"),
        pytest.param(
            enveloped(headers={"task": [], "id": "1"}), id="a list for a name"
        ),
        pytest.param("hello", id="no JSON"),
        pytest.param('{"some": "thing"}', id="a stranger's JSON"),
        pytest.param(
            enveloped(headers={"task": "no.such", "id": "1"}), id="unknown task"
        ),
        pytest.param(enveloped(body=base64.b64encode(b"[").decode()), id="broken JSON"),
        pytest.param("\x7f" * 1_000_000, id="a megabyte of noise"),
    ],
)
def test_a_poisonous_message_stops_nobody(
    farm: Farm, works: Callable[[], bool], body: str
):
    farm.sqs.send_message(QueueUrl=farm.url, MessageBody=body)
    assert works()
    assert works()


def test_the_log_names_the_undecodable_message(farm: Farm, worker: Worker):
    sent = farm.sqs.send_message(QueueUrl=farm.url, MessageBody=enveloped(body="abc"))
    until(worker.says(f"Poisonous message {sent['MessageId']}"))


def test_poison_ends_among_the_dead_letters(farm: Farm):
    sent = farm.sqs.send_message(QueueUrl=farm.url, MessageBody=enveloped(body="abc"))

    def is_dead() -> bool:
        dead = farm.messages(f"{farm.queue}-dead", hide=60)
        return sent["MessageId"] in [message["MessageId"] for message in dead]

    until(is_dead)


def test_the_pause_after_failed_polls_grows(
    farm: Farm, worker: Worker, sqs: FaultySqs, works: Callable[[], bool]
):
    sqs.fail("ReceiveMessage", times=2)
    until(worker.says(f"Poll of {farm.queue} failed, next in 1.0 s"))
    assert works()


def test_two_slots_do_not_idle_between_short_tasks(make_farm: MakeFarm):
    """Stock looks for the next task after the interval when its slots were full."""
    farm = make_farm(polling_interval=5)
    for number in range(20):
        farm.send("nap", f"short {number}", 0.2)
    farm.start("threads", slots=2)
    until(farm.saw("end", "short 19"), seconds=20)


def test_a_deleted_queue_is_made_again(farm: Farm, works: Callable[[], bool]):
    farm.sqs.delete_queue(QueueUrl=farm.url)

    def is_back() -> bool:
        urls = farm.sqs.list_queues(QueueNamePrefix=farm.queue).get("QueueUrls", [])
        return any(url.endswith(farm.queue) for url in urls)

    until(is_back)
    assert works()


def test_without_an_event_loop_polls_fail_and_poison_comes_just_as_harmlessly(
    make_farm: MakeFarm, sqs: FaultySqs
):
    farm = make_farm()
    farm.send("nap", "first")
    farm.sqs.send_message(QueueUrl=farm.url, MessageBody=enveloped(body="abc"))
    farm.send("nap", "second")
    sqs.fail("ReceiveMessage", times=1)
    farm.app.conf.broker_url = f"sqs://x:x@127.0.0.1:{sqs.port}"
    taken: list[Message] = []
    with farm.app.connection_for_read() as connection:
        channel = connection.default_channel
        with farm.app.amqp.TaskConsumer(channel, on_message=taken.append):
            while len(taken) < 2:
                connection.drain_events(timeout=5)
        for message in taken:
            message.ack()
    names = sorted(message.headers["argsrepr"] for message in taken)
    assert names == ["('first',)", "('second',)"]


def test_without_an_event_loop_a_predefined_queue_is_polled_for_as_long_as_it_waits(
    make_farm: MakeFarm, caplog: pytest.LogCaptureFixture
):
    """Longer than `client-config` lets other calls read."""
    options = {"queue_name_prefix": "own-", "wait_time_seconds": 3}
    farm = make_farm(**options)
    farm.send("nap", "film")
    name = f"own-{farm.queue}"
    url = farm.sqs.get_queue_url(QueueName=name)["QueueUrl"]
    farm.app.conf.broker_transport_options |= {
        "predefined_queues": {name: {"url": url}}
    }
    taken: list[Message] = []
    with farm.app.connection_for_read() as connection:
        channel = connection.default_channel
        with farm.app.amqp.TaskConsumer(channel, on_message=taken.append):
            connection.drain_events(timeout=5)
            taken.pop().ack()
            with pytest.raises(TimeoutError):
                connection.drain_events(timeout=1)
    assert not caplog.records


def test_curls_milliseconds_are_not_taken_for_seconds():
    hub = Mock()
    client = PollClient(hub, connect_timeout=1, timeout=1)
    hub.reset_mock()
    client._set_timeout(250)
    hub.call_later.assert_called_once_with(0.25, ANY)
    client._set_timeout(-1)  # no timer at all
    hub.call_later.assert_called_once()
    client.close()


@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_a_worker_that_reconnects_polls_on(make_farm: MakeFarm, pool: str):
    farm = make_farm()
    worker = farm.start(pool, break_after=0.5)
    until(worker.says("Connection to broker lost"))
    farm.send("nap", "after it")
    until(farm.saw("end", "after it"))


def test_a_poll_that_cannot_begin_is_tried_again(
    make_farm: MakeFarm, monkeypatch: pytest.MonkeyPatch
):
    farm = make_farm()
    with farm.app.connection_for_read() as connection:
        channel = connection.default_channel
        monkeypatch.setattr(channel, "asynsqs", Mock(side_effect=NoCredentialsError))
        channel.hub = Mock()
        channel._active_queues.append(farm.queue)
        channel._schedule_queue(farm.queue)
        channel.hub.call_later.assert_called_once_with(0.5, ANY, farm.queue)
        channel.hub = None
