"""One segment object → its stereo segment, verified and in the store.

Where that happens is the backend's business (`apps.pipeline.backends`).
"""

from __future__ import annotations

from functools import partial
from typing import Any, NoReturn

import structlog
from celery import current_task

from apps.jobs import storage
from apps.pipeline.backends import PausedError, SegmentClaim, backend
from apps.pipeline.leases import Lease, LeaseLostError, recorded
from contract.invocation import Completed

__all__ = ["SegmentClaim", "infer"]

log = structlog.get_logger(__name__)


def infer(claim: SegmentClaim, lease: Lease) -> Completed:
    """Convert a claimed segment; its stereo segment is in the store afterwards.

    Raises `StereoSpotError`, whatever `lease.check` does, and Celery's `Retry` when the
    segment was put back because no GPU is to be had for it yet.
    """
    try:
        with storage.translated():
            return backend().convert(claim, lease)
    except PausedError as paused:
        _put_back(claim, paused.seconds)


def _put_back(claim: SegmentClaim, seconds: int) -> NoReturn:
    if not recorded(partial(claim.pause, seconds)):
        raise LeaseLostError
    log.info("attempt put back: its turn has not come", pause=seconds)
    task: Any = current_task
    # The same part of the same chord. The edge of an attempt lets it through to Celery.
    raise task.retry(countdown=seconds, throw=False) from None
