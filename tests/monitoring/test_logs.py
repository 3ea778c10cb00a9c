"""What is bound to a line, and that it is gone with the task or the request."""

from __future__ import annotations

from unittest.mock import Mock

import pytest
import structlog
from celery.signals import task_postrun, task_prerun

JOB = "6dfd2b62-3d4c-4f4e-9b1e-0a4cb1e0c3a7"


def bound() -> dict[str, object]:
    return dict(structlog.contextvars.get_contextvars())


@pytest.fixture(autouse=True)
def nothing_bound() -> None:
    structlog.contextvars.clear_contextvars()


@pytest.mark.parametrize(
    ("name", "args", "facts"),
    [
        ("infer", [JOB, 3], {"job_id": JOB, "segment_index": 3}),
        ("chunk", [JOB], {"job_id": JOB}),
        ("generate", [JOB], {"job_id": JOB}),
        ("sweep", [], {}),
        ("anything", ["a@b.example"], {}),
    ],
)
def test_a_task_is_named_on_its_lines_and_on_no_others(name, args, facts):
    task = Mock()
    task.name = name
    task_prerun.send(sender=task, task_id="t1", task=task, args=args, kwargs={})

    assert bound() == {"task": name, "task_id": "t1"} | facts

    task_postrun.send(sender=task, task_id="t1", task=task, args=args, kwargs={})
    assert bound() == {}


def requests_in(caplog) -> list[dict[str, object]]:
    """What was logged of requests, as it is before it becomes JSON."""
    lines = [record.msg for record in caplog.records if isinstance(record.msg, dict)]
    return [line for line in lines if str(line["event"]).startswith("request_")]


@pytest.fixture(autouse=True)
def heard(caplog) -> None:
    caplog.set_level("INFO")


def test_a_request_about_a_film_is_found_by_the_films_id(client, alice, job, caplog):
    client.force_login(alice)
    client.get(job.get_absolute_url())

    (started, *_, finished) = requests_in(caplog)
    assert started["job_id"] == finished["job_id"] == str(job.pk)
    assert started["request_id"] == finished["request_id"]


def test_a_request_about_none_names_none(client, alice, caplog):
    client.force_login(alice)
    client.get("/jobs/new/")

    lines = requests_in(caplog)
    assert lines
    assert all("job_id" not in line for line in lines)
