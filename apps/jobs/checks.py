"""Mistakes in configuration that would cost films or GPU hours, caught at start-up."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from apps.jobs.ledger import DELIVERY


@register()
def time_limits_form_a_ladder(**kwargs: Any) -> list[CheckMessage]:
    """Who waits for another must wait longer than that one may take."""
    late, cap = settings.LATE_WRITER_SECONDS, settings.QUEUE_VISIBILITY_CAP_SECONDS
    hard, soft = settings.CELERY_TASK_TIME_LIMIT, settings.CELERY_TASK_SOFT_TIME_LIMIT
    tool, wait = settings.SANDBOX_SECONDS, settings.INVOCATION_WAIT_SECONDS
    endpoint = (
        settings.SAGEMAKER_QUEUE_SECONDS
        + settings.SAGEMAKER_INVOKE_TIMEOUT_SECONDS
        + settings.SAGEMAKER_LATE_SECONDS
    )
    if late > cap > hard > soft > max(tool, wait) and late > endpoint:
        return []
    return [
        Error(
            "SQS would redeliver a message whose task still runs, or a late writer "
            "would leave objects behind.",
            hint=f"late writers ({late} s) > visibility cap ({cap} s) > hard limit "
            f"({hard} s) > soft limit ({soft} s) > sandbox ({tool} s) and wait for an "
            f"answer ({wait} s) must hold, and late writers > what an endpoint may take "
            f"({endpoint} s).",
            id="jobs.E001",
        )
    ]


@register()
def leases_outlast_their_renewal(**kwargs: Any) -> list[CheckMessage]:
    """A worker must be able to miss two renewals without losing its work."""
    if settings.LEASE_SECONDS > 3 * settings.LEASE_RENEWAL_SECONDS:
        return []
    return [
        Error(
            "Work would be taken from a worker that is alive.",
            hint="LEASE_SECONDS must exceed three times LEASE_RENEWAL_SECONDS.",
            id="jobs.E002",
        )
    ]


@register()
def servers_wait_for_who_takes_over(**kwargs: Any) -> list[CheckMessage]:
    """What a killed worker had asked for is asked for again before it is given up."""
    comes_back = (
        settings.LEASE_SECONDS
        + settings.SWEEP_SECONDS
        + max(settings.RETRY_PAUSES)
        + DELIVERY.total_seconds()
        + settings.INVOCATION_PATIENCE_SECONDS
    )
    linger, late = settings.INVOCATION_LINGER_SECONDS, settings.LATE_WRITER_SECONDS
    if comes_back <= linger < late:
        return []
    return [
        Error(
            "A conversion would be paid for twice, or written after its job was tidied.",
            hint=f"An inference server must go on ({linger} s) for as long as the next "
            f"worker may take to come ({comes_back:.0f} s: lease, sweep, longest pause, "
            f"delivery, wait for a turn), and less than late writers have ({late} s).",
            id="jobs.E003",
        )
    ]
