"""A message is held as long as its worker lives, and no longer.

All of it happens at once: workers begin, each is joined by a rival that takes whatever
it can get, and the tests look at what was done how often.
"""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

from tests.faulty_sqs import FaultySqs
from tests.workers.conftest import MakeFarm
from tests.workers.harness import VISIBILITY, Farm, until

LONG = 5 * VISIBILITY
CAP = 4  # seconds


class Scene(SimpleNamespace):
    prefork: Farm
    threads: Farm
    solo: Farm
    victim: Farm
    hung: Farm
    killed_at: float


@pytest.fixture(scope="module")
def scene(make_shared_farm: MakeFarm) -> Scene:
    pools = {"prefork": 2, "threads": 2, "solo": 1, "victim": 1, "hung": 1}
    farms = {name: make_shared_farm() for name in pools}
    farms["hung"] = make_shared_farm(visibility_cap=CAP)
    scene = Scene(**farms)
    for name in ("prefork", "threads", "solo"):
        farms[name].send("nap", "long", LONG)
    for number in range(2):  # taken with the long one, and kept waiting
        scene.solo.send("nap", f"prefetched {number}")
    # Without SQS's own delay, so that the worker holds it.
    scene.threads.send("nap", "later", countdown=4 * VISIBILITY, DelaySeconds=0)
    scene.threads.send("nap", "delayed", countdown=4 * VISIBILITY)
    scene.victim.send("nap", "interrupted", LONG)
    scene.hung.send("nap", "hung", LONG)
    for name, slots in pools.items():
        pool = {"victim": "prefork", "hung": "threads"}.get(name, name)
        farms[name].start(pool, slots, worker_prefetch_multiplier=4)
    for name in ("prefork", "threads", "solo"):
        until(farms[name].saw("begin", "long"))
    until(scene.victim.saw("begin", "interrupted"))
    scene.victim.start("threads").wait_ready()
    until(scene.hung.saw("begin", "hung"))
    scene.victim.workers[0].kill()
    scene.killed_at = time.time()
    for name in ("prefork", "threads", "solo", "hung"):
        farms[name].start("threads", 4)
    for name in ("prefork", "threads", "solo"):
        until(farms[name].saw("end", "long"))
    return scene


@pytest.mark.parametrize("pool", ["prefork", "threads", "solo"])
def test_a_task_five_times_as_long_as_the_visibility_runs_once(scene: Scene, pool: str):
    farm: Farm = getattr(scene, pool)
    assert len(farm.times("begin", "long")) == 1


@pytest.mark.parametrize("number", [0, 1])
def test_a_prefetched_message_runs_once(scene: Scene, number: int):
    name = f"prefetched {number}"
    until(scene.solo.saw("end", name))
    assert len(scene.solo.times("begin", name)) == 1
    until(scene.solo.is_empty)


@pytest.mark.parametrize("name", ["later", "delayed"])
def test_a_message_with_an_eta_runs_once(scene: Scene, name: str):
    until(scene.threads.saw("end", name))
    until(scene.threads.is_empty)
    assert len(scene.threads.times("begin", name)) == 1


def test_a_killed_workers_message_comes_back_within_the_visibility(scene: Scene):
    until(scene.victim.saw("begin", "interrupted", 2))
    _, second = scene.victim.times("begin", "interrupted")
    # A second for the poll, and for moto, which counts in whole ones.
    assert second - scene.killed_at < VISIBILITY + 1


def test_a_hung_tasks_message_is_let_go(scene: Scene):
    until(scene.hung.saw("begin", "hung", 2))
    first, second, *_ = scene.hung.times("begin", "hung")
    assert second - first > VISIBILITY
    assert scene.hung.workers[0].says("Let go after 4 s")()


def test_a_long_task_runs_once_under_gevent(make_farm: MakeFarm, sqs: FaultySqs):
    farm = make_farm()
    worker = farm.start("gevent", slots=2).wait_ready()
    sqs.fail("ReceiveMessage", times=2)  # boto raises there, and ended the worker
    farm.send("nap", "long", 2 * VISIBILITY)
    until(farm.saw("begin", "long"))
    farm.start("threads").wait_ready()
    until(farm.is_empty)
    assert len(farm.times("begin", "long")) == 1
    assert worker.is_alive()
