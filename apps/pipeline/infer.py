"""What was claimed → what a GPU makes of it, verified and in the store.

Where that happens is the backend's business (`apps.pipeline.backends`).
"""

from __future__ import annotations

from functools import partial
from typing import Any, NoReturn

import structlog
from celery import current_task

from apps.jobs import storage
from apps.pipeline.backends import Claimed, Done, PausedError, SegmentClaim, backend
from apps.pipeline.leases import Lease, LeaseLostError, recorded

__all__ = ["SegmentClaim", "infer"]

log = structlog.get_logger(__name__)


def infer(claim: Claimed, lease: Lease) -> Done:
    """Have a claimed segment converted, or a claimed job's clip made.

    Raises `StereoSpotError`, whatever `lease.check` does, and Celery's `Retry` when it
    was put back because no GPU is to be had for it yet.
    """
    try:
        with storage.translated():
            return backend().make(claim, lease)
    except PausedError as paused:
        _put_back(claim, paused.seconds)


def _put_back(claim: Claimed, seconds: int) -> NoReturn:
    if not recorded(partial(claim.pause, seconds)):
        raise LeaseLostError
    log.info("attempt put back: its turn has not come", pause=seconds)
    task: Any = current_task
    # The same task, and so the same part of the same chord. The edge of an attempt lets it through to Celery.
    raise task.retry(countdown=seconds, throw=False) from None
