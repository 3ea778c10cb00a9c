"""A Celery result backend on Django's database whose results are not lost or undone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from celery import states
from django.db import models, router
from django.utils.timezone import now
from django_celery_results.backends.database import DatabaseBackend

from apps.pipeline.models import StickyTaskResult
from apps.pipeline.outage import Answer, outlast

BATCH = 1000
"""Most rows that `cleanup` deletes at once."""


class ResultBackend(DatabaseBackend):  # type: ignore[misc] # it has no types
    """django-celery-results' own, where success is final and an outage is waited for."""

    TaskModel = StickyTaskResult

    def _store_result(self, *args: Any, **kwargs: Any) -> Any:
        return self._lasting(
            lambda: super(ResultBackend, self)._store_result(*args, **kwargs)
        )

    def get_state(self, task_id: str) -> Any:
        """As the base class, which asks when a failure goes down a chain."""
        return self._lasting(lambda: super(ResultBackend, self).get_state(task_id))

    def wait_for(self, task_id: str, *args: Any, **kwargs: Any) -> Any:
        """As the base class, but of a failure always tell the first cause.

        The base class looks at the parents' errors only between two polls.
        """
        meta = super().wait_for(task_id, *args, **kwargs)
        if meta["status"] in states.PROPAGATE_STATES and kwargs.get("on_interval"):
            kwargs["on_interval"]()
        return meta

    def cleanup(self) -> None:
        """Delete what has expired, in batches: `celery.backend_cleanup` calls it."""
        if self.expires:
            before = now() - timedelta(seconds=self.expires)
            delete_in_batches(self.TaskModel.objects.filter(date_done__lt=before))
            delete_in_batches(self.GroupModel.objects.filter(date_done__lt=before))

    def _lasting(self, action: Callable[[], Answer]) -> Answer:
        return outlast(action, using=router.db_for_write(self.TaskModel))

    def _packed(self, value: Any) -> str:
        """The value as text, by the backend's serializer."""
        content: str = self.encode_content(value)[2]
        return content

    def _unpacked(self, content: str) -> Any:
        return self.decode_content(self, content)


def delete_in_batches(rows: models.QuerySet[Any]) -> None:
    keys = rows.order_by("pk").values_list("pk", flat=True)
    while batch := list(keys[:BATCH]):
        rows.model._default_manager.filter(pk__in=batch).delete()
