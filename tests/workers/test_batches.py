from __future__ import annotations

import pickle
from typing import Any

import pytest
from celery.exceptions import Ignore

from tests.faulty_sqs import FaultySqs
from tests.workers.conftest import MakeFarm
from tests.workers.harness import Farm
from workers import batches
from workers.batches import PublishError, publish_batch


@pytest.fixture
def farm(make_farm: MakeFarm, sqs: FaultySqs) -> Farm:
    farm = make_farm()
    farm.app.conf.broker_url = f"sqs://x:x@127.0.0.1:{sqs.port}"
    farm.send("nap", "the queue is made")
    sqs.counts.clear()
    return farm


def count(farm: Farm) -> int:
    return int(farm.attributes()["ApproximateNumberOfMessages"]) - 1


def test_two_hundred_messages_are_twenty_calls(farm: Farm, sqs: FaultySqs):
    with publish_batch():
        for number in range(200):
            farm.send("nap", f"{number}")
    assert sqs.counts["SendMessageBatch"] == 20
    assert sqs.counts["SendMessage"] == 0
    assert count(farm) == 200


def test_a_batch_is_a_mebibyte_at_most(farm: Farm, sqs: FaultySqs):
    with publish_batch():
        for _ in range(3):
            farm.send("nap", "x" * 250_000)  # nearly twice that as base64 of base64
    assert sqs.counts["SendMessageBatch"] == 2
    assert count(farm) == 3


def test_delay_and_group_go_with_a_batched_message(farm: Farm):
    with publish_batch():
        farm.send("nap", "later", countdown=30)
        farm.send("nap", "fair", headers={"fair_queue_group": "alice"})
    assert farm.attributes()["ApproximateNumberOfMessagesDelayed"] == "1"
    _, fair = farm.messages()
    assert fair["Attributes"]["MessageGroupId"] == "alice"


def test_what_sqs_did_not_take_is_sent_again(farm: Farm, sqs: FaultySqs):
    sqs.fail_entries(4)
    with publish_batch():
        for number in range(10):
            farm.send("nap", f"{number}")
    assert sqs.counts["SendMessageBatch"] == 2
    assert count(farm) == 10


def test_a_failed_call_is_made_again(farm: Farm, sqs: FaultySqs):
    sqs.fail("SendMessageBatch", times=1)
    with publish_batch():
        farm.send("nap", "once")
    assert count(farm) == 1


def test_after_a_call_that_fails_for_good_the_rest_is_not_tried(
    farm: Farm, sqs: FaultySqs
):
    def publish() -> None:
        with publish_batch():
            for number in range(13):
                farm.send("nap", f"{number}")

    with (
        sqs.outage(),
        pytest.raises(PublishError, match=r"13 of 13 messages: .*InternalFailure"),
    ):
        publish()
    assert sqs.counts["SendMessageBatch"] == 6
    assert count(farm) == 0


class SlowSqs:
    """A client each of whose calls takes four seconds, by its own clock."""

    def __init__(self) -> None:
        self.now = 0.0
        self.failed: list[dict[str, Any]] = []
        self.calls = 0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def send_message_batch(self, **order: Any) -> dict[str, Any]:
        self.now += 4
        self.calls += 1
        return {"Failed": self.failed}


@pytest.fixture
def slow_sqs(monkeypatch: pytest.MonkeyPatch) -> SlowSqs:
    slow_sqs = SlowSqs()
    monkeypatch.setattr(batches, "time", slow_sqs)
    return slow_sqs


def batch_of(count: int, client: SlowSqs, within: float = 10) -> batches.Batch:
    batch = batches.Batch(within)
    for number in range(count):
        batch.add(client, "queue", {"MessageBody": f"{number}"})
    return batch


def test_a_batch_is_given_up_when_its_time_is_over(slow_sqs: SlowSqs):
    with pytest.raises(PublishError, match="22 of 52 messages: not within 10 s"):
        batch_of(52, slow_sqs).send()
    assert slow_sqs.now == 12


def test_who_keeps_nobody_waiting_may_take_longer(slow_sqs: SlowSqs):
    batch_of(52, slow_sqs, within=60).send()
    assert slow_sqs.calls == 6


def test_further_attempts_are_given_up_with_their_batch(slow_sqs: SlowSqs):
    slow_sqs.failed = [{"Id": "0", "SenderFault": False, "Code": "InternalError"}]
    with pytest.raises(PublishError, match="4 of 13 messages: InternalError"):
        batch_of(13, slow_sqs).send()
    assert slow_sqs.calls == 3


def test_the_rest_is_sent_although_sqs_finds_fault_with_a_message(slow_sqs: SlowSqs):
    slow_sqs.failed = [{"Id": "7", "SenderFault": True, "Code": "InvalidMessage"}]
    with pytest.raises(PublishError, match="1 of 13 messages: InvalidMessage"):
        batch_of(13, slow_sqs).send()
    assert slow_sqs.calls == 2


def test_a_block_that_fails_sends_nothing(farm: Farm):
    def publish() -> None:
        with publish_batch():
            farm.send("nap", "too early")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        publish()
    assert count(farm) == 0


def test_a_task_that_replaces_itself_has_published(farm: Farm):
    """`Task.replace()` publishes and then raises Ignore."""

    def publish() -> None:
        with publish_batch():
            farm.send("nap", "instead")
            raise Ignore

    with pytest.raises(Ignore):
        publish()
    assert count(farm) == 1


def test_after_the_block_messages_go_one_by_one(farm: Farm, sqs: FaultySqs):
    with publish_batch():
        pass
    farm.send("nap", "alone")
    assert sqs.counts["SendMessage"] == 1


def test_what_was_not_sent_can_be_told_by_a_child_process():
    error = PublishError(4, 13, "InternalError")

    told = pickle.loads(pickle.dumps(error))

    assert str(told) == str(error)
    assert told.unsent == 4
