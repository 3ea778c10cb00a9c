from __future__ import annotations

import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from tests.workers.harness import until
from workers import visibility
from workers.visibility import VisibilityKeeper


class Sqs:
    """A client that does to each batch what the test says."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.deletions: list[list[str]] = []
        self.extended: list[str] = []
        self.error: Exception | None = None
        self.failing: dict[str, str] = {}  # codes by receipt

    def change_message_visibility_batch(
        self, *, QueueUrl: str, Entries: list[dict[str, Any]]
    ) -> dict[str, Any]:
        self.batches.append([entry["ReceiptHandle"] for entry in Entries])
        answer = self._answer(Entries)
        self.extended += set(self.batches[-1]) - set(self.failing)
        return answer

    def delete_message_batch(
        self, *, QueueUrl: str, Entries: list[dict[str, Any]]
    ) -> dict[str, Any]:
        self.deletions.append([entry["ReceiptHandle"] for entry in Entries])
        return self._answer(Entries)

    def _answer(self, entries: list[dict[str, Any]]) -> dict[str, Any]:
        if self.error:
            raise self.error
        codes = {e["Id"]: self.failing.get(e["ReceiptHandle"]) for e in entries}
        return {"Failed": [{"Id": n, "Code": c} for n, c in codes.items() if c]}


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


class Clock:
    def __init__(self) -> None:
        self.now = time.monotonic()

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """What the keeper takes for the time; its attempts follow at once upon each other."""
    clock = Clock()
    monkeypatch.setattr(visibility, "time", SimpleNamespace(monotonic=clock.monotonic))
    monkeypatch.setattr(visibility, "RETRY_EVERY", 0.01)
    return clock


@pytest.fixture
def slow_keeper(clock: Clock) -> Iterator[VisibilityKeeper]:
    """Its next extension is 20 seconds off whenever the clock is left alone."""
    keeper = VisibilityKeeper(timeout=60, cap=600)
    yield keeper
    keeper.stop()


def test_an_extension_that_failed_is_tried_again_before_the_next_is_due(
    slow_keeper: VisibilityKeeper, sqs: Sqs, clock: Clock
):
    sqs.error = EndpointConnectionError(endpoint_url="http://away")
    slow_keeper.hold("a", "queue", lambda: sqs)
    clock.now += 21
    until(lambda: len(sqs.batches) >= 3)
    sqs.error = None
    until(lambda: sqs.extended == ["a"])
    count = len(sqs.batches)
    time.sleep(0.1)
    assert len(sqs.batches) == count
    clock.now += 21
    until(lambda: len(sqs.batches) == count + 1)


def test_what_failed_of_a_batch_is_tried_again_alone(
    slow_keeper: VisibilityKeeper, sqs: Sqs, clock: Clock
):
    sqs.failing = {"b": "InternalError"}
    for receipt in "abc":
        slow_keeper.hold(receipt, "queue", lambda: sqs)
    clock.now += 21
    until(lambda: len(sqs.batches) >= 3)
    assert sqs.batches[:3] == [["a", "b", "c"], ["b"], ["b"]]


def test_a_message_lost_to_others_is_no_longer_extended(
    keeper: VisibilityKeeper, sqs: Sqs
):
    sqs.failing = {"lost": "ReceiptHandleIsInvalid"}
    keeper.hold("lost", "queue", lambda: sqs)
    until(lambda: sqs.batches)
    sqs.failing = {}
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


@pytest.fixture
def patient_keeper(
    monkeypatch: pytest.MonkeyPatch, sqs: Sqs
) -> Iterator[VisibilityKeeper]:
    """It looks at what is to do every minute."""
    monkeypatch.setattr(visibility, "RETRY_EVERY", 60)
    keeper = VisibilityKeeper(timeout=300, cap=600)
    yield keeper
    sqs.error = None
    keeper.stop()


def test_what_is_done_with_is_deleted_as_soon_as_it_fills_a_call(
    patient_keeper: VisibilityKeeper, sqs: Sqs
):
    for receipt in "abcdefghi":
        patient_keeper.delete(receipt, "queue", lambda: sqs)
    time.sleep(0.05)
    assert sqs.deletions == []
    patient_keeper.delete("j", "queue", lambda: sqs)
    until(lambda: sqs.deletions == [list("abcdefghij")])


def test_a_message_that_others_of_its_group_wait_for_is_deleted_at_once(
    patient_keeper: VisibilityKeeper, sqs: Sqs
):
    patient_keeper.delete("kept waiting", "queue", lambda: sqs)
    patient_keeper.delete("first", "queue.fifo", lambda: sqs)
    until(lambda: sqs.deletions == [["first"]])


def test_what_could_not_be_deleted_is_held_and_tried_again(
    slow_keeper: VisibilityKeeper, sqs: Sqs, clock: Clock
):
    sqs.failing = {"b": "InternalError"}
    for receipt in "ab":
        slow_keeper.hold(receipt, "queue", lambda: sqs)
        slow_keeper.delete(receipt, "queue", lambda: sqs)
        slow_keeper.release(receipt)  # by the worker, which is done with it
    until(lambda: len(sqs.deletions) >= 4)
    clock.now += 21
    until(lambda: sqs.batches)
    sqs.failing = {}
    until(lambda: not slow_keeper._to_delete)
    assert sqs.deletions[-1] == ["b"]
    assert sqs.batches[0] == ["b"]


@pytest.mark.parametrize("when", ["before", "after"])
def test_what_is_done_with_as_the_worker_ends_is_deleted(
    patient_keeper: VisibilityKeeper, sqs: Sqs, when: str
):
    patient_keeper.hold("last", "queue", lambda: sqs)
    if when == "after":
        patient_keeper.stop()
    patient_keeper.delete("last", "queue", lambda: sqs)
    patient_keeper.stop()
    assert sqs.deletions == [["last"]]
