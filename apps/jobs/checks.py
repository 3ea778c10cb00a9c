"""Mistakes in configuration that would cost films or GPU hours, caught at start-up."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register


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
