"""The figures in CloudWatch (moto's), as Terraform's scaling and alarms ask for them."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import boto3
import pytest
from django.utils.timezone import now

from apps.jobs.models import DeadLetter, Job
from apps.pipeline import cloudwatch, sweep
from stereospot.embedded import Addresses
from stereospot.environment import BASE_DIR


@pytest.fixture
def reader(settings, monkeypatch) -> Any:
    """CloudWatch, which knows this installation by a name of its own."""
    settings.CLOUDWATCH_SYSTEM = f"films-{now().timestamp()}"
    url = f"http://127.0.0.1:{Addresses.of(settings.DATA_DIR).sqs_port}"
    monkeypatch.setenv("AWS_ENDPOINT_URL_CLOUDWATCH", url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    cloudwatch._client.cache_clear()
    yield boto3.client("cloudwatch", region_name=settings.AWS_REGION)
    cloudwatch._client.cache_clear()


def said(reader: Any, settings: Any, metric: str, queue: str | None = None) -> float:
    """The latest value, asked for as an alarm asks."""
    dimensions = [{"Name": "System", "Value": settings.CLOUDWATCH_SYSTEM}]
    if queue:
        dimensions.append({"Name": "Queue", "Value": queue})
    answer = reader.get_metric_statistics(
        Namespace="StereoSpot",
        MetricName=metric,
        Dimensions=dimensions,
        StartTime=now() - timedelta(minutes=5),
        EndTime=now() + timedelta(minutes=5),
        Period=60,
        Statistics=["Maximum"],
    )
    (point,) = answer["Datapoints"]
    return float(point["Maximum"])


def test_the_sweep_publishes_every_figure_with_its_dimensions(job, reader, settings):
    DeadLetter.objects.create(
        queue="gpu", message_id="1", deliveries=6, reason="given up", sent_at=now()
    )
    Job.objects.update(started_at=now() - timedelta(hours=2))
    sent = timedelta(seconds=400)
    job.segments.filter(index=1).update(notify_at=now() - sent)

    cloudwatch.publish()

    assert said(reader, settings, "DeadLetters") == 1
    assert said(reader, settings, "StuckJobs") == 1
    assert said(reader, settings, "OldestWaitingSeconds", "gpu") > sent.total_seconds()
    assert said(reader, settings, "OldestWaitingSeconds", "media") == 0
    for queue in ("media", "gpu", "control"):
        assert said(reader, settings, "BacklogPerTask", queue) >= 0
        assert said(reader, settings, "Workers", queue) == 0


def test_what_is_published_is_what_is_promised(job, reader, settings):
    data = cloudwatch._data()

    promised = {(m.name, m.unit, m.dimensions) for m in cloudwatch.METRICS}
    assert promised == {
        (d["MetricName"], d["Unit"], tuple(one["Name"] for one in d["Dimensions"]))
        for d in data
    }


def test_the_promise_is_in_the_operators_manual():
    manual = (BASE_DIR / "docs/operations/running.md").read_text()

    assert [m.name for m in cloudwatch.METRICS if f"`{m.name}`" not in manual] == []


def test_each_alarm_has_its_first_steps_in_the_operators_manual():
    alarms = (BASE_DIR / "deploy/terraform/alarms.tf").read_text()
    named = re.findall(r'"([^"]+)" =>? \{\s+namespace', alarms)
    named += re.findall(r'alarm_name += "\$\{local\.prefix\}-([a-z-]+)"', alarms)
    manual = (BASE_DIR / "docs/operations/troubles.md").read_text()

    names = [name.replace("${name}", "…") for name in named]
    assert len(names) >= 10
    assert [name for name in names if f"`{name}`" not in manual] == []


def test_a_cloudwatch_that_is_away_stops_no_sweep(job, reader, settings, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_CLOUDWATCH", "http://127.0.0.1:9")
    cloudwatch._client.cache_clear()

    assert sweep.sweep()


def test_nothing_is_published_unless_the_installation_has_a_name(job, monkeypatch):
    def fail() -> Any:
        raise AssertionError("it was to be left alone")

    monkeypatch.setattr(cloudwatch, "_client", fail)

    cloudwatch.publish()
