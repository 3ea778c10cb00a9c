"""What each line of the log says of the task or the request that it is about.

Bound once, here: `task` and `task_id`, with `job_id` and `segment_index` of a film's tasks;
`request_id` (by django-structlog), with `job_id` where the address names a film. So one
filter, `job_id`, follows a film from its upload to its final. The attempt binds its number
and stage (`apps.pipeline.tasks`), the inference server what it is told.
"""

from __future__ import annotations

import re
from typing import Any

import structlog
from celery.signals import task_postrun, task_prerun
from django.dispatch import receiver
from django.http import HttpRequest
from django_structlog.signals import bind_extra_request_metadata

OF_FILMS = ("ingest", "generate", "chunk", "infer", "concat", "tidy")
"""Tasks whose arguments are a job's id, and maybe a segment's index."""
_JOB = re.compile(r"/jobs/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/")


@task_prerun.connect
def _bind_task(task_id: str, task: Any, args: Any = (), **signal: Any) -> None:
    facts = {"task": task.name, "task_id": task_id}
    if task.name in OF_FILMS:
        facts |= zip(("job_id", "segment_index"), args or (), strict=False)
    structlog.contextvars.bind_contextvars(**facts)


@task_postrun.connect
def _unbind_task(**signal: Any) -> None:
    structlog.contextvars.clear_contextvars()


@receiver(bind_extra_request_metadata)
def _bind_job(request: HttpRequest, **signal: Any) -> None:
    if found := _JOB.search(request.path):
        structlog.contextvars.bind_contextvars(job_id=found[1])
