"""Chords through a real worker on SQS; all of Celery's own tests: `tests.canvas`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import pytest
from celery import chain, chord, group
from celery.exceptions import ChordError
from celery.result import AsyncResult
from django.db import connection

from apps.pipeline.models import Chord
from tests.canvas.app import again, app, fail, note, same, spread, total

ROOT = Path(__file__).parents[2]
DEADLINE = 30

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module", params=["prefork", "threads"])
def _worker(request: pytest.FixtureRequest, django_db_setup: None) -> Iterator[None]:
    queue = f"canvas-{uuid4().hex}"
    app.conf.task_default_queue = queue
    app.amqp.__dict__.pop("queues", None)
    facts = connection.settings_dict
    host = quote(facts["HOST"], safe="")
    url = f"postgresql://{facts['USER']}@/{facts['NAME']}?host={host}"
    environment = os.environ | {"CANVAS_QUEUE": queue, "DATABASE_URL": url}
    environment["SQS_LONG_POLL_WAIT_SECONDS"] = "1"
    command = [sys.executable, "-W", "ignore", "-m", "celery", "-A", "tests.canvas.app"]
    options = ["-Q", queue, "-c", "2", "-P", request.param, "--without-gossip"]
    worker = subprocess.Popen(
        [*command, "worker", *options, "--without-mingle", "--loglevel", "WARNING"],
        cwd=ROOT,
        env=environment,
    )
    yield
    worker.terminate()
    worker.wait(DEADLINE)


@pytest.mark.usefixtures("_worker")
class TestAWorkerOnSqs:
    def test_a_chord_joins_its_parts_in_order(self):
        body = chord((same.s(index) for index in range(8)), same.s()).apply_async()
        assert body.get(timeout=DEADLINE) == list(range(8))

    def test_chords_nest_in_headers_bodies_and_chains(self):
        inner = chord([same.s(1), same.s(2)], total.s())
        tail = chain(same.s(3), group(same.s(), same.s()), total.s())
        canvas = chain(
            group(inner, tail), total.s(), spread.s(), group(same.s()) | same.s()
        )
        assert canvas.apply_async().get(timeout=DEADLINE) == [sum(range(9))]

    @pytest.mark.parametrize("size", [0, 1, 3])
    def test_a_task_becomes_a_chord(self, size: int):
        found = chain(spread.s(size), same.s()).apply_async().get(timeout=DEADLINE)
        assert found == sum(range(size))

    def test_a_part_that_is_retried_counts_once(self):
        body = chord([again.s(5), same.s(1)], total.s()).apply_async()
        assert body.get(timeout=DEADLINE) == 6

    def test_a_failed_part_fails_the_body_and_calls_its_errback(self):
        errback = note.s().set(task_id=str(uuid4()))
        body = chord([same.s(1), fail.si()], total.s().on_error(errback)).apply_async()
        told = AsyncResult(errback.options["task_id"], app=app).get(timeout=DEADLINE)
        assert told == body.id
        with pytest.raises(ChordError, match=r"no such film.*1 of 2 parts failed"):
            AsyncResult(body.id, app=app).get(timeout=DEADLINE)

    def test_a_failure_reaches_the_end_of_chains_and_the_outer_chord(self):
        inner = chord([fail.si()], chain(same.s(), same.s()))
        outer = chord([inner, same.s(1)], chain(total.s(), same.s()))
        with pytest.raises((ChordError, ValueError), match="no such film"):
            outer.apply_async().get(timeout=DEADLINE)

    def test_a_chord_that_is_published_twice_is_one_chord(self):
        canvas = chord(
            group([same.s(1), same.s(2)], task_id=str(uuid4())),
            total.s().set(task_id=str(uuid4())),
        )
        canvas.freeze()
        bodies = {canvas.apply_async(), canvas.apply_async()}
        assert [body.get(timeout=DEADLINE) for body in bodies] == [3]
        assert Chord.objects.count() == 1
