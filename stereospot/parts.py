"""The stores and the broker that the environment names, as Django and Celery want them."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from botocore.config import Config

from stereospot.environment import Environment

QUEUE_PREFIX = "stereospot-"


def storages(env: Environment, data_dir: Path) -> dict[str, Any]:
    """For `STORAGES`."""
    return {
        "source": _store(env.source_bucket, data_dir / "source", env.aws_region),
        "result": _store(env.result_bucket, data_dir / "result", env.aws_region),
        "story": _store(env.story_bucket, data_dir / "story", env.aws_region),
        "staticfiles": {
            "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        },
    }


def _store(bucket: str | None, folder: Path, region: str) -> dict[str, Any]:
    if bucket is None:
        return {
            "BACKEND": "apps.jobs.storage.Disk",
            "OPTIONS": {"location": folder},
        }
    options = {
        "bucket_name": bucket,
        "region_name": region,
        "client_config": Config(
            connect_timeout=5,
            read_timeout=30,
            retries={"mode": "standard", "max_attempts": 4},
        ),
    }
    return {"BACKEND": "apps.jobs.storage.Bucket", "OPTIONS": options}


def transport_options(
    env: Environment, broker_url: str, queues: dict[str, Any]
) -> dict[str, Any]:
    """For `CELERY_BROKER_TRANSPORT_OPTIONS`; `queues` is `workers/queues.json`."""
    return {
        "region": env.aws_region,
        # A URL with a host means another SQS than Amazon's, on a network of one's own.
        "is_secure": urlsplit(broker_url).hostname is None,
        "wait_time_seconds": env.sqs_long_poll_wait_seconds,
        # After so long another worker gets the messages of one that was killed. A living
        # one holds its own for as long as their tasks last.
        "visibility_timeout": queues["visibility_seconds"],
        "visibility_cap": queues["visibility_cap_seconds"],
        "dead_letters": {
            "suffix": "-dead",
            "max_receive_count": queues["max_receive_count"],
        },
        "queue_name_prefix": QUEUE_PREFIX,
        "predefined_queues": {
            f"{QUEUE_PREFIX}{name}": {"url": url}
            for name, url in env.queue_urls.items()
        },
        "sqs_base64_encoding": False,
        # Short: a page may be waiting. Polls have a time limit of their own, and what
        # could not be sent the sweep sends.
        "client-config": {
            "connect_timeout": 5,
            "read_timeout": 5,
            "retries": {"mode": "standard", "total_max_attempts": 2},
        },
    }
