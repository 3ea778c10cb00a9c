from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from tests.workers.harness import until
from workers.visibility import VisibilityKeeper


class Sqs:
    """A client that does to each batch what the test says."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.error: Exception | None = None
        self.failed: list[dict[str, Any]] = []

    def change_message_visibility_batch(
        self, *, QueueUrl: str, Entries: list[dict[str, Any]]
    ) -> dict[str, Any]:
        self.batches.append([entry["ReceiptHandle"] for entry in Entries])
        if self.error:
            raise self.error
        return {"Failed": self.failed}


@pytest.fixture
def sqs() -> Sqs:
    return Sqs()


@pytest.fixture
def keeper() -> Iterator[VisibilityKeeper]:
    keeper = VisibilityKeeper(timeout=1, cap=60)
    yield keeper
    keeper.stop()


def test_ten_messages_are_one_call(keeper: VisibilityKeeper, sqs: Sqs):
    for number in range(12):
        keeper.hold(str(number), "queue", lambda: sqs)
    until(lambda: len(sqs.batches) >= 4)
    assert [len(batch) for batch in sqs.batches[-4:]] in ([10, 2] * 2, [2, 10] * 2)


def test_the_keeper_outlives_an_error(keeper: VisibilityKeeper, sqs: Sqs):
    sqs.error = EndpointConnectionError(endpoint_url="http://away")
    keeper.hold("a", "queue", lambda: sqs)
    until(lambda: len(sqs.batches) >= 3)


def test_a_message_lost_to_others_is_no_longer_extended(
    keeper: VisibilityKeeper, sqs: Sqs
):
    lost = {"Id": "0", "SenderFault": True, "Code": "ReceiptHandleIsInvalid"}
    sqs.failed = [lost]
    keeper.hold("lost", "queue", lambda: sqs)
    until(lambda: sqs.batches)
    sqs.failed = []
    keeper.hold("held", "queue", lambda: sqs)
    until(lambda: ["held"] in sqs.batches)
    assert sqs.batches.count(["lost"]) == 1


@pytest.mark.parametrize("end", ["release", "give_up"])
def test_what_is_done_with_is_no_longer_extended(
    keeper: VisibilityKeeper, sqs: Sqs, end: str
):
    keeper.hold("done", "queue", lambda: sqs)
    until(lambda: ["done"] in sqs.batches)
    getattr(keeper, end)("done")
    keeper.hold("held", "queue", lambda: sqs)
    until(lambda: sqs.batches.count(["held"]) >= 2)
