"""`manage.py bridge`: read the queues that others write to, until SIGTERM."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import boto3
import structlog
from botocore.config import Config
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from apps.pipeline.doors import arrivals, story
from workers import pulse
from workers.bridge import Bridge

log = structlog.get_logger(__name__)

HANDLERS = {"arrivals": arrivals.handle, "video-jobs": story.handle}


class Command(BaseCommand):
    help = "Turn what S3, SageMaker and others say over SQS into the ledger's facts."

    def handle(self, *args: Any, **options: Any) -> None:
        urls = settings.BRIDGE_QUEUE_URLS
        if not urls:
            raise CommandError(
                "There is no queue to read: set BRIDGE_QUEUE_URL_ARRIVALS or "
                "BRIDGE_QUEUE_URL_VIDEO_JOBS."
            )
        stop, broken = threading.Event(), threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        threads = [
            threading.Thread(target=_read, args=(name, url, stop, broken), name=name)
            for name, url in urls.items()
        ]
        for thread in threads:
            thread.start()
        self.stdout.write(f"Reading {', '.join(urls)} (Ctrl-C stops).")
        self.stdout.flush()
        while any(thread.is_alive() for thread in threads):
            for thread in threads:
                thread.join(1)
        if broken.is_set():
            raise CommandError("A queue could not be read any more: see the log.")


def _read(name: str, url: str, stop: threading.Event, broken: threading.Event) -> None:
    pulse_file = settings.CELERY_WORKER_PULSE_DIR / f"bridge-{name}.pulse"
    try:
        _bridge(name, url, partial(pulse.write, pulse_file)).run(stop)
    except Exception:
        # The edge: whoever reads only some of its queues would look well, so all end.
        log.exception("the bridge broke", queue=name)
        broken.set()
        stop.set()
    finally:
        pulse_file.unlink(missing_ok=True)


def _bridge(name: str, url: str, beat: Callable[[], None]) -> Bridge:
    client = boto3.client(
        "sqs",
        region_name=settings.AWS_REGION,
        config=Config(
            connect_timeout=5,
            read_timeout=settings.BRIDGE_WAIT_SECONDS + 10,
            # It asks again itself, and says between that it lives.
            retries={"total_max_attempts": 1},
        ),
    )
    handle = partial(_unconnected, HANDLERS[name])
    return Bridge(client, url, handle, wait=settings.BRIDGE_WAIT_SECONDS, beat=beat)


def _unconnected(handle: Any, body: str) -> None:
    """A connection that idles until the next message may be gone by then."""
    try:
        handle(body)
    finally:
        connection.close()
