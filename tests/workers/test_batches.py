from __future__ import annotations

import pytest
from celery.exceptions import Ignore

from tests.faulty_sqs import FaultySqs
from tests.workers.conftest import MakeFarm
from tests.workers.harness import Farm
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


def test_what_sqs_does_not_take_in_the_end_is_counted(farm: Farm, sqs: FaultySqs):
    def publish() -> None:
        with publish_batch():
            for number in range(13):
                farm.send("nap", f"{number}")

    # The first call fails six times over; the second one follows and works.
    sqs.fail("SendMessageBatch", times=6)
    with pytest.raises(PublishError, match=r"10 of 13 messages: .*InternalFailure"):
        publish()
    assert count(farm) == 3


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
