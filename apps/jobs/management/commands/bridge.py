"""`manage.py bridge`: read the queues that others write to, until SIGTERM."""

from __future__ import annotations

import signal
import threading
from functools import partial
from typing import Any

import boto3
from botocore.config import Config
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from apps.pipeline.doors import arrivals, story
from workers.bridge import Bridge

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
        stop = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        threads = [
            threading.Thread(target=_bridge(name, url).run, args=(stop,), name=name)
            for name, url in urls.items()
        ]
        for thread in threads:
            thread.start()
        self.stdout.write(f"Reading {', '.join(urls)} (Ctrl-C stops).")
        self.stdout.flush()
        while any(thread.is_alive() for thread in threads):
            for thread in threads:
                thread.join(1)


def _bridge(name: str, url: str) -> Bridge:
    client = boto3.client(
        "sqs",
        region_name=settings.AWS_REGION,
        config=Config(
            connect_timeout=5,
            read_timeout=settings.BRIDGE_WAIT_SECONDS + 10,
            retries={"mode": "standard", "total_max_attempts": 2},
        ),
    )
    handle = partial(_unconnected, HANDLERS[name])
    return Bridge(client, url, handle, wait=settings.BRIDGE_WAIT_SECONDS)


def _unconnected(handle: Any, body: str) -> None:
    """A connection that idles until the next message may be gone by then."""
    try:
        handle(body)
    finally:
        connection.close()
