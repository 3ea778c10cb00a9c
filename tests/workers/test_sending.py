"""What a message is sent with, and what a queue is made with."""

from __future__ import annotations

import json

import pytest

from tests.faulty_sqs import FaultySqs
from tests.workers.conftest import MakeFarm
from tests.workers.harness import Farm, until


@pytest.fixture
def farm(make_farm: MakeFarm) -> Farm:
    return make_farm()


@pytest.mark.parametrize("countdown", [30, 3600], ids=["half a minute", "an hour"])
def test_sqs_holds_what_is_to_come_later(farm: Farm, countdown: int):
    farm.send("nap", "later", countdown=countdown)
    assert farm.attributes()["ApproximateNumberOfMessagesDelayed"] == "1"


def test_what_should_have_come_is_not_delayed(farm: Farm):
    farm.send("nap", "late", countdown=-5)
    assert len(farm.messages()) == 1


def test_a_fifo_queue_keeps_its_own_groups_and_delays_nothing(farm: Farm):
    queue = f"{farm.queue}.fifo"
    group = {"fair_queue_group": "alice"}
    farm.send("nap", "later", countdown=30, queue=queue, headers=group)
    (message,) = farm.messages(queue)
    assert message["Attributes"]["MessageGroupId"] == "default"


def test_the_fair_queue_group_is_the_messages_group(farm: Farm):
    farm.send("nap", "fair", headers={"fair_queue_group": "alice"})
    (message,) = farm.messages()
    assert message["Attributes"]["MessageGroupId"] == "alice"


def test_a_retry_stays_in_its_fair_queue_group(farm: Farm):
    farm.send("retry_on", f"{farm.queue}-2", headers={"fair_queue_group": "alice"})
    farm.start("solo").wait_ready()
    until(farm.is_empty)
    (message,) = farm.messages(f"{farm.queue}-2")
    assert message["Attributes"]["MessageGroupId"] == "alice"


def test_a_queue_is_made_with_dead_letters(farm: Farm):
    farm.send("nap", "first")
    policy = json.loads(farm.attributes()["RedrivePolicy"])
    dead = farm.attributes(f"{farm.queue}-dead")
    assert policy == {"deadLetterTargetArn": dead["QueueArn"], "maxReceiveCount": 6}
    assert dead["MessageRetentionPeriod"] == str(14 * 24 * 3600)


def test_a_queue_is_made_without_dead_letters_if_so_wanted(make_farm: MakeFarm):
    farm = make_farm(dead_letters=None)
    farm.send("nap", "first")
    assert "RedrivePolicy" not in farm.attributes()


def test_a_worker_that_starts_during_an_outage_works_after_it(
    farm: Farm, sqs: FaultySqs
):
    with sqs.outage():
        worker = farm.start("solo")
        until(worker.says("Trying again"))
    farm.send("nap", "first")
    until(farm.saw("end", "first"))
