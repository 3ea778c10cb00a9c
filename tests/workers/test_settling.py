"""What becomes of a message whose task has ended, or has been given up."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from kombu.message import Message

from tests.faulty_sqs import FaultySqs
from tests.workers.conftest import MakeFarm
from tests.workers.harness import VISIBILITY, Farm, Worker, until
from workers.batches import publish_batch
from workers.sqs import Channel


@pytest.fixture(scope="module")
def farm(make_shared_farm: MakeFarm) -> Farm:
    farm = make_shared_farm(
        requeue_backoff=(0, 2), dead_letters={"suffix": "-dead", "max_receive_count": 3}
    )
    farm.start("threads", slots=2).wait_ready()
    return farm


@pytest.fixture
def worker(farm: Farm) -> Worker:
    (worker,) = farm.workers
    return worker


@pytest.mark.parametrize(
    ("status", "code"),
    [(500, "InternalFailure"), (403, "AccessDenied"), (None, "reset")],
)
def test_a_message_that_could_not_be_deleted_is_deleted_later(
    farm: Farm, worker: Worker, sqs: FaultySqs, status: int | None, code: str
):
    sqs.fail("DeleteMessageBatch", times=2, status=status, code=code)
    farm.send("nap", code)
    until(farm.saw("end", code))
    until(farm.is_empty)
    assert len(farm.times("begin", code)) == 1
    assert worker.is_alive()


def test_a_worker_outlives_the_receipt_of_what_it_gives_back(
    farm: Farm, worker: Worker, sqs: FaultySqs
):
    sqs.fail("ChangeMessageVisibility", times=1, status=400, code="MessageNotInflight")
    farm.send("refuse", "expired", 1, True)
    until(farm.saw("end", "expired"))
    assert worker.is_alive()


class Slow:
    """A client whose extensions take until the test says so."""

    def __init__(self, client: Any):
        self.client = client
        self.extends = threading.Event()
        self.may_end = threading.Event()

    def change_message_visibility_batch(self, **order: Any) -> Any:
        self.extends.set()
        self.may_end.wait(10)
        return self.client.change_message_visibility_batch(**order)


def test_no_extension_that_was_under_way_hides_what_was_given_back(
    make_farm: MakeFarm, monkeypatch: pytest.MonkeyPatch
):
    farm = make_farm()
    farm.send("nap", "given back")
    slow = Slow(farm.sqs)
    monkeypatch.setattr(Channel, "keeper_client", lambda *_: slow)
    taken: list[Message] = []
    with farm.app.connection_for_read() as connection:
        channel = connection.default_channel
        with farm.app.amqp.TaskConsumer(channel, on_message=taken.append):
            connection.drain_events(timeout=5)
        until(slow.extends.is_set)
        give_back = threading.Thread(target=taken[0].requeue)
        give_back.start()
        give_back.join(0.5)  # it waits for the extension
        slow.may_end.set()
        give_back.join()
        time.sleep(0.2)
        assert len(farm.messages()) == 1


def test_a_worker_outlives_the_receipt_of_what_it_deletes(
    farm: Farm, worker: Worker, sqs: FaultySqs
):
    sqs.fail("DeleteMessageBatch", times=1, status=400, code="ReceiptHandleIsInvalid")
    farm.send("nap", "lost")
    until(worker.says("Lost to others (ReceiptHandleIsInvalid)"))
    until(farm.is_empty)  # it ran again, and was deleted
    assert worker.is_alive()


def test_a_message_given_back_again_and_again_comes_ever_later(farm: Farm):
    farm.send("refuse", "crash loop", 2, True)
    until(farm.saw("end", "crash loop"))
    (first,) = farm.times("first", "crash loop")
    second, third = farm.times("redelivered", "crash loop")
    assert second - first < VISIBILITY
    assert third - second > 1  # two seconds, of SQS's whole ones


@pytest.mark.parametrize("status", [503, None])
def test_a_rejected_message_stays_for_the_dead_letters_if_its_queues_terms_are_unknown(
    farm: Farm, worker: Worker, sqs: FaultySqs, status: int | None
):
    name = f"unknown terms {status}"
    sqs.fail("GetQueueAttributes", times=1, status=status)
    farm.send("refuse", name, 1, False)
    until(farm.saw("end", name))
    assert worker.is_alive()


@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_a_drained_task_begins_elsewhere_within_two_seconds(
    make_farm: MakeFarm, pool: str
):
    farm = make_farm(wait_time_seconds=10)
    first = farm.start(pool).wait_ready()
    farm.send("nap_or_drain", "film", 20)
    until(farm.saw("begin", "film"))
    farm.start(pool, slots=1).wait_ready()
    farm.log.with_suffix(".drain").touch()
    first.terminate()
    until(farm.saw("drain", "film"))
    farm.log.with_suffix(".drain").unlink()
    until(farm.saw("begin", "film", 2))
    (drained,) = farm.times("drain", "film")
    assert farm.times("begin", "film")[1] - drained < 2
    first.process.wait(10)


def test_a_worker_that_shuts_down_takes_no_further_message(make_farm: MakeFarm):
    """The threads pool waits for its tasks, and nobody reads the poll that is open."""
    farm = make_farm(visibility_timeout=60, wait_time_seconds=10)
    leaving = farm.start("threads", slots=2).wait_ready()
    farm.send("nap", "last", 4)
    until(farm.saw("begin", "last"))
    time.sleep(0.5)  # the next poll is open
    leaving.terminate()
    until(leaving.says("Warm shutdown"))
    time.sleep(0.5)  # it has hung up
    farm.send("nap", "next")
    farm.start("threads")
    until(farm.saw("end", "next"), seconds=20)


def test_short_tasks_are_deleted_many_a_call(make_farm: MakeFarm, sqs: FaultySqs):
    farm = make_farm()
    with publish_batch():
        for number in range(60):
            farm.send("nap", str(number))
    worker = farm.start("prefork", slots=2)
    sqs.counts.clear()
    until(farm.saw("end", "59"))
    worker.terminate()  # with some that are not deleted yet
    worker.process.wait(15)
    assert farm.is_empty()
    assert all(len(farm.times("begin", str(number))) == 1 for number in range(60))
    assert sqs.counts["DeleteMessage"] == 0
    assert sqs.counts["DeleteMessageBatch"] <= 20  # six full ones, and each second's


def test_a_worker_of_predefined_queues_makes_and_lists_none(
    make_farm: MakeFarm, sqs: FaultySqs
):
    farm = make_farm()
    farm.send("nap", "film", VISIBILITY)
    farm.options = {"predefined_queues": {farm.queue: {"url": farm.url}}}
    sqs.counts.clear()
    sqs.fail("DeleteMessageBatch", times=1)
    farm.start("solo")
    until(farm.saw("end", "film"))
    until(farm.is_empty)
    assert len(farm.times("begin", "film")) == 1
    assert sqs.counts["ListQueues"] == sqs.counts["CreateQueue"] == 0
