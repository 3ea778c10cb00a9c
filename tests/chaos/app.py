"""The product's Celery application for the workers of a run: `celery -A tests.chaos.app`."""

from __future__ import annotations

import django

from stereospot.celery import app

django.setup()

from apps.pipeline import infer, sweep, tasks  # noqa: E402, F401 (all are loaded now)
from apps.pipeline.backends import local  # noqa: E402
from tests.chaos import notes, points  # noqa: E402
from tests.chaos.engine import Engine  # noqa: E402
from tests.chaos.haste import hurry  # noqa: E402

__all__ = ["app"]

hurry()
notes.install()
points.install()
if not callable(local._convert):
    raise TypeError("the real engine is called by another name now")
local._convert = Engine(points.journal, points.orders)
