"""A real Flower, and real workers whose only broker is SQS."""

from __future__ import annotations

import contextlib
import re
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tests.workers.flower import Flower
from tests.workers.gate import Gate
from tests.workers.harness import Farm, Worker, until

Start = Callable[..., Worker]

BACKENDS = (
    "SELECT count(*) FROM pg_stat_activity WHERE strpos(application_name, %s) > 0"
)
TABLES = "SELECT count(*) FROM pg_class"
UNHEARD = "SELECT (1e9 * pg_notification_queue_usage())::bigint"


@pytest.fixture(scope="module")
def flower(tmp_path_factory, database) -> Iterator[Flower]:
    own = Flower(tmp_path_factory.mktemp("flower"), database)
    yield own
    own.stop()


@pytest.fixture
def gate(database) -> Iterator[Gate]:
    """A way to the database that the test can shut."""
    with Gate(f"{conninfo_to_dict(database)['host']}/.s.PGSQL.5432") as own:
        yield own


@pytest.fixture
def through(gate, database) -> str:
    return make_conninfo(database, host="127.0.0.1", port=gate.port, connect_timeout=2)


@pytest.fixture
def start(database) -> Start:
    """Starts a watched worker of a farm."""

    def started(farm: Farm, pool: str, slots: int = 1, **changes: Any) -> Worker:
        own = {"monitor_database": database, "worker_send_task_events": True}
        return farm.start(pool, slots, **own | changes)

    return started


def a_name() -> str:
    return f"n{uuid.uuid4().hex[:8]}"


def node(farm: Farm, number: int = 0) -> str:
    """Celery's name of the farm's worker."""
    return f"w{number}-{farm.queue}@here"


# --- What is seen -----------------------------------------------------------------


def test_what_tasks_did_is_seen_although_the_broker_is_sqs(make_farm, flower, start):
    farm = make_farm()
    start(farm, "prefork", 2)
    nap, fails, retried = a_name(), a_name(), a_name()
    farm.send("nap", nap, 0.3)
    farm.send("fail", fails)
    farm.send("retry_once", retried)

    ends = ["SUCCESS", "FAILURE", "SUCCESS"]
    until(lambda: flower.states(nap, fails, retried) == ends)

    tasks = flower.tasks()
    assert 0.3 <= tasks[nap]["runtime"] < 10
    assert tasks[nap]["received"] <= tasks[nap]["started"] <= tasks[nap]["succeeded"]
    assert tasks[nap]["args"] == f"('{nap}', 0.3)"
    assert "ValueError" in tasks[fails]["exception"]
    assert tasks[retried]["retried"] < tasks[retried]["succeeded"]


@pytest.mark.parametrize("pool", ["threads", "solo"])
def test_tasks_of_other_pools_are_seen_too(make_farm, flower, start, pool):
    farm = make_farm()
    start(farm, pool)
    name = a_name()
    farm.send("nap", name)

    until(lambda: flower.states(name) == ["SUCCESS"])


def test_a_killed_worker_goes_offline(make_farm, flower, start):
    farm = make_farm()
    worker = start(farm, "prefork")
    until(lambda: node(farm) in flower.online())

    worker.kill()

    until(lambda: node(farm) not in flower.online())


def test_a_worker_that_stops_says_so(make_farm, flower, start):
    farm = make_farm()
    worker = start(farm, "threads")
    until(lambda: node(farm) in flower.online())

    worker.terminate()

    until(lambda: not worker.is_alive())
    until(lambda: node(farm) not in flower.online(), 4)


# --- What it obeys ----------------------------------------------------------------


@pytest.mark.parametrize("pool", ["prefork", "threads", "solo"])
def test_the_page_of_a_worker_shows_what_it_is(make_farm, flower, start, pool):
    farm = make_farm()
    start(farm, pool)
    until(lambda: node(farm) in flower.online())

    told = until(lambda: flower.get("/api/workers", refresh="1").get(node(farm)))

    assert [queue["name"] for queue in told["active_queues"]] == [farm.queue]
    assert "tests.workers.app.nap" in told["registered"]
    assert flower.client.get(f"{flower.url}/worker/{node(farm)}").is_success


def test_a_solo_worker_answers_while_it_works(make_farm, flower, start):
    farm = make_farm()
    start(farm, "solo")
    name = a_name()
    farm.send("nap", name, 8.0)
    until(farm.saw("begin", name))

    told = until(lambda: flower.get("/api/workers", refresh="1").get(node(farm)), 6)

    assert told["stats"]["pid"]
    assert farm.times("end", name) == []


def test_a_revoked_task_is_not_run(make_farm, flower, start):
    farm = make_farm()
    start(farm, "solo")
    until(lambda: node(farm) in flower.online())
    first, second = a_name(), a_name()
    farm.send("nap", first, 3.0)
    until(farm.saw("begin", first))
    task = str(uuid.uuid4())
    farm.send("nap", second, task_id=task)

    assert flower.post(f"/api/task/revoke/{task}").is_success

    until(lambda: flower.state(task) == "REVOKED")
    assert farm.times("begin", second) == []


def test_a_task_that_runs_can_be_terminated(make_farm, flower, start):
    farm = make_farm()
    start(farm, "prefork")
    name, task = a_name(), str(uuid.uuid4())
    farm.send("nap", name, 60.0, task_id=task)
    until(lambda: flower.states(name) == ["STARTED"])
    until(lambda: node(farm) in flower.online())

    assert flower.post(f"/api/task/revoke/{task}", terminate="true").is_success

    until(lambda: flower.states(name) == ["REVOKED"])


def test_a_worker_can_be_shut_down(make_farm, flower, start):
    farm = make_farm()
    worker = start(farm, "prefork")
    until(lambda: flower.get("/api/workers", refresh="1").get(node(farm)))

    assert flower.post(f"/api/worker/shutdown/{node(farm)}").is_success

    until(lambda: not worker.is_alive())
    assert worker.process.returncode == 0


def test_what_is_not_offered_is_refused_with_a_sentence(make_farm, flower, start):
    farm = make_farm()
    start(farm, "prefork")
    until(lambda: flower.get("/api/workers", refresh="1").get(node(farm)))

    for order in ("pool/grow", "pool/shrink", "pool/restart"):
        answer = flower.post(f"/api/worker/{order}/{node(farm)}", n=1)
        assert answer.status_code == 403
        assert "change the deployment instead" in answer.text


@pytest.mark.parametrize(
    "path", ["apply/nap", "async-apply/nap", "send-task/nap", "result/1", "abort/1"]
)
def test_flower_sends_no_tasks(flower, path):
    assert flower.post(f"/api/task/{path}").status_code == 404


def test_flower_asks_for_its_password(flower):
    for path in ("/workers", "/api/workers", "/api/tasks", "/tasks", "/broker"):
        answer = flower.client.get(f"{flower.url}{path}", auth=("somebody", "else"))
        assert answer.status_code == 401


# --- What it leaves alone ---------------------------------------------------------


def test_work_goes_on_without_the_database_and_is_seen_afterwards(
    make_farm, flower, start, gate, through
):
    farm = make_farm()
    start(farm, "prefork", monitor_database=through)
    until(lambda: node(farm) in flower.online())
    gate.shut()
    names = [a_name() for _ in range(20)]
    for name in names:
        farm.send("nap", name)
    until(lambda: all(farm.times("end", name) for name in names))
    assert set(flower.states(*names)) == {""}

    gate.open()

    until(lambda: set(flower.states(*names)) == {"SUCCESS"})


def test_work_goes_on_while_the_database_says_nothing(
    make_farm, start, gate, through, flower
):
    farm = make_farm()
    worker = start(farm, "prefork", monitor_database=through)
    until(lambda: node(farm) in flower.online())
    gate.silence()
    names = [a_name() for _ in range(20)]
    for name in names:
        farm.send("nap", name)

    until(lambda: all(farm.times("end", name) for name in names))
    worker.terminate()
    until(lambda: not worker.is_alive())


def test_a_worker_starts_and_works_without_the_database(
    make_farm, start, gate, through
):
    gate.shut()
    farm = make_farm()
    start(farm, "threads", monitor_database=through).wait_ready()
    name = a_name()
    farm.send("nap", name)

    until(farm.saw("end", name))


def test_work_goes_on_when_flower_dies_and_the_next_flower_sees_the_rest(
    make_farm, start, database, tmp_path
):
    farm = make_farm()
    start(farm, "prefork").wait_ready()
    dies = Flower(tmp_path, database)
    dies.process.kill()
    dies.stop()
    first, second = a_name(), a_name()
    farm.send("nap", first)
    until(farm.saw("end", first))

    with contextlib.closing(_Closing(tmp_path, database)) as again:
        until(lambda: node(farm) in again.flower.online())
        farm.send("nap", second)
        until(lambda: again.flower.states(second) == ["SUCCESS"])


class _Closing:
    def __init__(self, folder: Path, database: str) -> None:
        self.flower = Flower(folder, database)

    def close(self) -> None:
        self.flower.stop()


def test_fifty_workers_that_are_killed_leave_nothing(make_farm, start, database):
    farm = make_farm()
    farm.send("nap", a_name())  # makes the queue and its dead-letter queue
    queues = strange_queues(farm)
    with psycopg.connect(database, autocommit=True) as ours:

        def number(query: LiteralString, *values: str) -> int:
            (found,) = ours.execute(query, values).fetchone() or (-1,)
            return int(found)

        tables = number(TABLES)
        for _ in range(5):
            workers = [start(farm, "solo") for _ in range(10)]
            until(lambda: number(BACKENDS, farm.queue) == 10, 120)
            for worker in workers:
                worker.kill()
            until(lambda: number(BACKENDS, farm.queue) == 0)

        assert number(TABLES) == tables
        until(lambda: number(UNHEARD) == 0)
    assert strange_queues(farm) == queues


def strange_queues(farm: Farm) -> set[str]:
    """All but those that the farms of other tests, beside this one, have for their tasks."""
    queues = farm.sqs.list_queues()["QueueUrls"]
    return {url for url in queues if not re.search(r"/(own-)?q-[0-9a-f]{12}\b", url)}
