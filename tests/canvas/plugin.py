"""Pytest plugin: Celery's integration tests on our broker and our result backend."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import django
import pytest
from celery.app.control import Inspect
from celery.contrib.testing.manager import Manager
from django.conf import settings

from tests.canvas import redis

NOT_FOR_US = {
    "test_reapplying_frozen_chord_dispatches_body_again": (
        "a chord that is applied again with the same ids is the same chord to us"
    ),
    "test_generator": "our headers are made when applied, as with every other backend",
    "test_error_propagates_from_chord": (
        "is a fault of Celery's own, with the stock backend, too: nobody fails a group "
        "that ends a chain"
    ),
    "test_chord_header_id_duplicated_on_rabbitmq_msg_duplication": (
        "doubles a message with a Signal among its properties, which transports that "
        "write properties as JSON refuse; Celery leaves it out on Redis, too"
    ),
    "test_redis_subscribed_channels_leak": "is about Redis' own channels",
    "test_chord_on_error": "reads the Redis backend's own keys",
}
"""Tests that are skipped, and why."""


class Backend(str):
    """The name of a result backend that has whatever Celery's tests ask of Redis.

    They skip what they believe only Redis can do: `result_backend.startswith("redis")`.
    """

    def startswith(self, prefix: str | tuple[str, ...], *bounds: Any) -> bool:  # type: ignore[override]
        return "redis" in ([prefix] if isinstance(prefix, str) else prefix)


def pytest_configure(config: pytest.Config) -> None:
    django.setup()
    sys.modules["redis"] = redis
    # SQS carries no remote control, by which they ask whether the worker lives.
    Manager.wait_until_idle = lambda self: None
    Inspect.ping = lambda self, destination=None: {"worker": {"ok": "pong"}}
    # Celery's own way to run its tests on another broker.
    overrides = config.rootpath / "integration-tests-config.json"
    overrides.write_text(json.dumps(_configuration()))


def _configuration() -> dict[str, Any]:
    options = settings.CELERY_BROKER_TRANSPORT_OPTIONS | {
        "queue_name_prefix": "canvas-",
        "predefined_queues": {},
        "wait_time_seconds": 1,
        "polling_interval": 0.01,
    }
    found = {
        "broker_url": settings.CELERY_BROKER_URL,
        "broker_transport_options": options,
        "worker_enable_remote_control": False,
        "task_acks_late": True,
        "task_ignore_result": False,
        "worker_prefetch_multiplier": 1,
    }
    if transport := getattr(settings, "CELERY_BROKER_TRANSPORT", None):
        found["broker_transport"] = transport
    return found


def pytest_plugin_registered(plugin: object) -> None:
    if getattr(plugin, "__name__", "").endswith("integration.conftest"):
        name = os.environ["CANVAS_BACKEND"] or settings.CELERY_RESULT_BACKEND
        plugin.TEST_BACKEND = Backend(name)  # type: ignore[attr-defined]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        name = item.name.partition("[")[0]
        if name in NOT_FOR_US:
            item.add_marker(pytest.mark.skip(reason=NOT_FOR_US[name]))
