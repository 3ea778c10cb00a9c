"""The Celery application: `celery -A stereospot worker -Q gpu`."""

from __future__ import annotations

import logging
import os
from typing import Any

from celery import Celery
from celery.signals import setup_logging

from workers import monitor, pulse

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "stereospot.settings")

app = Celery("stereospot")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
monitor.install(app)


def _each_beat() -> None:
    from apps.monitoring.tallies import flush_with_beat  # (Django is set up by then)

    flush_with_beat()


pulse.install(app, _each_beat)


@setup_logging.connect
def _keep_our_logging(**kwargs: Any) -> None:
    """Django has configured the logs already; a receiver here keeps Celery's out."""
    logging.captureWarnings(True)
