"""Short tasks are taken many a poll, and none waits behind a long one for long."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tests.faulty_sqs import FaultySqs
from tests.workers.conftest import MakeFarm
from tests.workers.harness import Farm, until
from workers import ahead
from workers.ahead import LAST, Pace
from workers.batches import publish_batch

SHORT = 40


class Clock:
    now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(ahead, "time", SimpleNamespace(monotonic=clock.monotonic))
    return clock


def paced(clock: Clock, *took: float) -> Pace:
    pace = Pace()
    for seconds in took:
        pace.begin("receipt")
        clock.now += seconds
        pace.end("receipt")
    return pace


def test_as_much_is_taken_ahead_as_is_done_in_a_second(clock: Clock):
    assert paced(clock, *[0.5] * LAST).ahead(slots=2) == 4


def test_one_long_task_among_the_last_is_enough_to_take_nothing_ahead(clock: Clock):
    assert paced(clock, 20.0, *[0.01] * (LAST - 1)).ahead(slots=2) == 0


def test_nothing_is_taken_ahead_before_it_is_known_how_long_tasks_take(clock: Clock):
    assert paced(clock, *[0.01] * (LAST - 1)).ahead(slots=2) == 0


def send_short(farm: Farm) -> None:
    with publish_batch():
        for number in range(SHORT):
            farm.send("nap", f"short {number}")


def send_long_and_others(farm: Farm) -> None:
    with publish_batch():
        for name, seconds in (("long", 15.0), ("second", 0.0), ("third", 0.0)):
            farm.send("nap", name, seconds)


def counts(farm: Farm) -> tuple[int, int]:
    """Messages that anybody may take, and that somebody has."""
    found = farm.attributes()
    names = ("", "NotVisible")
    waiting, held = (int(found[f"ApproximateNumberOfMessages{n}"]) for n in names)
    return waiting, held


def test_what_waits_in_vain_behind_a_long_task_goes_back(
    make_farm: MakeFarm, sqs: FaultySqs
):
    farm = make_farm(visibility_timeout=60)
    send_short(farm)
    sqs.counts.clear()
    worker = farm.start("prefork", slots=1)
    until(farm.is_empty)
    assert sqs.counts["ReceiveMessage"] < SHORT / 2
    send_long_and_others(farm)
    until(farm.saw("begin", "long"))
    until(lambda: counts(farm) == (0, 3))  # they were taken with it
    until(lambda: counts(farm) == (2, 1), seconds=10)
    assert not farm.times("end", "long")
    farm.start("solo")
    until(farm.saw("end", "third"))
    assert not farm.times("end", "long")
    until(farm.saw("end", "long"))
    names = ["long", "second", "third", *(f"short {n}" for n in range(SHORT))]
    assert all(len(farm.times("begin", name)) == 1 for name in names)
    assert worker.is_alive()


def test_a_worker_that_stops_gives_back_what_waits(make_farm: MakeFarm):
    farm = make_farm(visibility_timeout=60)
    send_short(farm)
    worker = farm.start("threads", slots=1)
    until(farm.is_empty)
    send_long_and_others(farm)
    until(lambda: counts(farm) == (0, 3))
    worker.terminate()  # from now on nobody turns the event loop, which loses patience
    until(lambda: counts(farm) == (2, 1))
    assert not farm.times("end", "long")
