"""The few figures that scaling and alarms need, published to CloudWatch by the sweep.

Names, dimensions and units are what `deploy/terraform` asks for: `METRICS` is the list.
Nothing is published unless `CLOUDWATCH_SYSTEM` names this installation. Sweeps are single,
so each figure is published once every half minute; where they stop, the figures stop,
which is an alarm of its own (missing data).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import boto3
import structlog
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings

from apps.pipeline import fleet

log = structlog.get_logger(__name__)

NAMESPACE = "StereoSpot"
SYSTEM, QUEUE = "System", "Queue"
"""Dimensions: the value of `CLOUDWATCH_SYSTEM`; `media`, `gpu` or `control`."""


@dataclass(frozen=True, slots=True)
class Metric:
    """As CloudWatch has it."""

    name: str
    unit: str
    dimensions: tuple[str, ...]


BACKLOG = Metric("BacklogPerTask", "Count", (SYSTEM, QUEUE))
"""Messages that wait, for each worker of the queue that lives: what it scales on."""
OLDEST = Metric("OldestWaitingSeconds", "Seconds", (SYSTEM, QUEUE))
"""How long what is oldest has waited; 0 when nothing waits. Not of `control`."""
WORKERS = Metric("Workers", "Count", (SYSTEM, QUEUE))
"""Workers that live."""
DEAD = Metric("DeadLetters", "Count", (SYSTEM,))
"""Dead letters that wait for somebody. SQS's own figure is no alarm: the sweep empties
the dead-letter queues into the ledger."""
STUCK = Metric("StuckJobs", "Count", (SYSTEM,))
"""Active jobs that nobody has worked at for an hour."""

METRICS = (BACKLOG, OLDEST, WORKERS, DEAD, STUCK)


def publish() -> None:
    """All of them, now. That CloudWatch is away is logged, and stops nothing."""
    if not settings.CLOUDWATCH_SYSTEM:
        return
    try:
        _client().put_metric_data(Namespace=NAMESPACE, MetricData=_data())
    except (BotoCoreError, ClientError) as error:
        log.warning("figures not published", reason=str(error))


def _data() -> list[dict[str, Any]]:
    data, queues = [], fleet.queues()
    for queue in queues:
        if (backlog := queue.backlog_per_worker) is not None:
            data.append(_datum(BACKLOG, backlog, queue.name))
        data.append(_datum(WORKERS, queue.workers, queue.name))
        if queue.name != "control":
            data.append(_datum(OLDEST, queue.oldest or 0, queue.name))
    data.append(_datum(DEAD, sum(queue.dead for queue in queues)))
    data.append(_datum(STUCK, fleet.stuck_jobs().count()))
    return data


def _datum(metric: Metric, value: float, queue: str = "") -> dict[str, Any]:
    values = {SYSTEM: settings.CLOUDWATCH_SYSTEM, QUEUE: queue}
    dimensions = [{"Name": name, "Value": values[name]} for name in metric.dimensions]
    return {
        "MetricName": metric.name,
        "Unit": metric.unit,
        "Value": value,
        "Dimensions": dimensions,
    }


@functools.cache
def _client() -> Any:
    """One that gives up soon: the next sweep must not wait."""
    patience = Config(
        connect_timeout=3, read_timeout=3, retries={"total_max_attempts": 1}
    )
    client: Any = boto3.client
    return client("cloudwatch", region_name=settings.AWS_REGION, config=patience)
