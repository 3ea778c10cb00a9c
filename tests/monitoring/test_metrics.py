"""What Prometheus is told, who may ask, and that the dashboard asks for nothing else."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.utils.timezone import now
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr

from apps.jobs import ledger
from apps.jobs.models import DeadLetter, Job
from apps.monitoring import figures, tallies
from apps.monitoring.models import Tally
from apps.pipeline import messages, sweep
from contract.invocation import Completed
from contract.modes import Engine
from inference.service.messages import Memory
from inference.service.metrics import Metrics
from stereospot.celery import app
from stereospot.environment import BASE_DIR
from workers import hearing


@pytest.fixture(autouse=True)
def own_queues(monkeypatch) -> None:
    prefix = f"metrics-{uuid4().hex[:8]}-"
    monkeypatch.setitem(app.conf.broker_transport_options, "queue_name_prefix", prefix)
    monkeypatch.setattr(app, "_pool", None)
    monkeypatch.setattr(app.amqp, "_producer_pool", None)
    tallies._counts.clear()
    hearing.taken_calls()


def said(name: str, **labels: str) -> float:
    """The one sample of that name and labels."""
    (value,) = (
        sample.value
        for family in text_string_to_metric_families(figures.text().decode())
        for sample in family.samples
        if sample.name == f"stereospot_{name}" and sample.labels == labels
    )
    return float(value)


def test_the_ledger_and_the_queues_are_told_as_they_are(job):
    DeadLetter.objects.create(
        queue="gpu", message_id="1", deliveries=6, reason="given up", sent_at=now()
    )
    messages.declare_queues()
    messages.send_segment(job.pk, 2, attempt=0)
    segment = ledger.claim_segment(job.pk, 1)
    ledger.finish_segment(segment, seconds=5.0, version="1")
    job.segments.filter(index=2).update(notify_at=now() - timedelta(seconds=70))

    assert said("jobs", status="chunking_complete") == 1
    assert said("jobs", status="failed") == 0
    assert said("segments_per_second", engine="preview") == pytest.approx(1 / 300)
    assert said("seconds_per_frame", engine="preview") == pytest.approx(5 / 25)
    assert said("queue_messages", queue="gpu", state="waiting") == 1
    assert said("queue_oldest_seconds", queue="gpu") >= 100
    assert said("dead_letters", queue="gpu") == 1
    assert said("stuck_jobs") == 0


def test_what_processes_count_is_added_up(job):
    tallies.count("failed_attempts", "storage", 2)
    tallies.flush_now()
    tallies.count("failed_attempts", "storage")
    tallies.flush_now()
    tallies.flush_now()

    assert said("failed_attempts_total", code="storage") == 3


def test_calls_of_sqs_are_counted_where_they_are_made(job):
    messages.declare_queues()
    hearing.taken_calls()
    messages.send_segment(job.pk, 1, attempt=0)
    hearing.note_poll()
    tallies.flush_now()

    assert said("sqs_calls_total", operation="SendMessage") == 1
    assert said("sqs_calls_total", operation="ReceiveMessage") == 1


def test_what_the_sweep_found_is_counted(job, monkeypatch):
    monkeypatch.setattr(messages, "send_stage", lambda job, pause=0: None)
    monkeypatch.setattr(sweep, "_ended", None)
    job.segments.update(status="done", seconds=1.0, notify_at=None)
    sweep.sweep()
    tallies.flush_now()

    found = said("sweep_found_total", what="jobs whose segments were all done")
    assert found == 1


@pytest.mark.django_db(transaction=True)
def test_many_processes_count_the_same_at_once():
    def add(_: int) -> None:
        with connection.cursor() as cursor:
            labels = [f"l{n}" for n in range(20)]
            cursor.execute(tallies._ADD, [["n"] * 20, labels, [1] * 20])
        connection.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(40)))

    assert set(Tally.objects.values_list("value", flat=True)) == {40}
    assert Tally.objects.count() == 20


@pytest.mark.django_db(transaction=True)
def test_what_was_counted_without_a_database_is_added_later(monkeypatch):
    tallies.count("failed_attempts", "storage")
    with monkeypatch.context() as outage:
        outage.setattr(tallies, "_ADD", "SELECT nothing FROM nowhere")
        tallies.flush_now()
    tallies.flush_now()

    assert Tally.objects.get(name="failed_attempts").value == 1


# --- Who may ask ------------------------------------------------------------------


def test_a_prometheus_shows_its_token(client, db, settings):
    settings.METRICS_TOKEN = SecretStr("secret")

    def status(token: str) -> int:
        answer = client.get("/metrics", headers={"Authorization": f"Bearer {token}"})
        return int(answer.status_code)

    assert status("secret") == 200
    assert status("other") == 401
    assert status("") == 401


def test_staff_may_read_them_and_others_may_not(client, admin_client, alice, settings):
    settings.METRICS_TOKEN = None

    assert "stereospot_jobs" in admin_client.get("/metrics").text
    assert (
        client.get("/metrics", headers={"Authorization": "Bearer None"}).status_code
        == 401
    )
    client.force_login(alice)
    assert client.get("/metrics").status_code == 401


def test_they_cost_the_same_for_few_and_for_many_films(
    job, django_assert_max_num_queries
):
    with django_assert_max_num_queries(16):
        figures.text()


# --- The dashboard ----------------------------------------------------------------


def test_the_dashboard_asks_for_metrics_that_exist(job):
    for name in figures.TALLIES:
        tallies.count(name, "one")
    Job.objects.update(started_at=now())
    job.segments.filter(index=0).update(finished_at=now())
    tallies.flush_now()
    dashboard = json.loads((BASE_DIR / "deploy/grafana/stereospot.json").read_text())
    asked = {
        name
        for panel in dashboard["panels"]
        for target in panel["targets"]
        for name in re.findall(r"stereospot_\w+", target["expr"])
    }

    ours = figures.text().decode() + _inference()
    known = {
        sample.name
        for family in text_string_to_metric_families(ours)
        for sample in family.samples
    }
    assert asked - known == set()
    assert len(asked) >= 20


def _inference() -> str:
    """Of a server that has done everything once."""
    metrics = Metrics()
    done = Completed(frames=1, seconds=1.0, engine=Engine.PREVIEW, version="1")
    metrics.completed(done, pixels=100)
    metrics.remember(Memory(resident=1, cuda=0, cuda_peak=0))
    return metrics.text().decode()
