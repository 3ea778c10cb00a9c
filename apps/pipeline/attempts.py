"""One attempt at a piece of work: its lease, its log context, its failure.

The edge where exceptions become facts of the ledger. Nothing below it has a broad
`except`, and nothing above it sees an exception.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

import structlog
from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection

from apps.pipeline import leases
from apps.pipeline.leases import Lease, LeaseLostError
from contract.errors import Blame, ErrorCode, StereoSpotError

log = structlog.get_logger(__name__)

Result = TypeVar("Result")


def attempt(
    renew: Callable[[], bool], work: Callable[[Lease], Result]
) -> Result | StereoSpotError | None:
    """Do the work under a lease; what it gave, why it failed, or None if it was stopped."""
    log.info("attempt started")
    # The work may last an hour: a connection that idles so long would not be noticed to
    # have died when the result is to be recorded. A new one is opened then.
    connection.close()
    try:
        with leases.held(renew) as lease:
            result = work(lease)
    except LeaseLostError:
        log.info("attempt stopped: the lease is gone")
        return None
    except Exception as error:  # noqa: BLE001 (the edge, see above)
        return _as_failure(error)
    log.info("attempt finished")
    return result


def recorded(record: Callable[[], Result]) -> Result:
    """Record what an attempt gave, although the database may be away for a moment.

    An hour of work is worth waiting for it as long as a lease lasts.
    """
    deadline = time.monotonic() + settings.LEASE_SECONDS
    while True:
        try:
            return record()
        except (InterfaceError, OperationalError):
            if time.monotonic() > deadline:
                raise
            log.warning("result not recorded yet", exc_info=True)
            connection.close()
            time.sleep(1)


def _as_failure(error: Exception) -> StereoSpotError:
    if isinstance(error, StereoSpotError):
        failure = error
    elif isinstance(error, MemoryError):
        failure = StereoSpotError(
            ErrorCode.OUT_OF_MEMORY, "The worker ran out of memory."
        )
    elif isinstance(error, SoftTimeLimitExceeded):
        failure = StereoSpotError(ErrorCode.INTERNAL, "It took longer than is allowed.")
    else:
        failure = StereoSpotError(
            ErrorCode.INTERNAL,
            f"Something that we did not expect ({type(error).__name__}); it is in our log.",
        )
    ours = failure.code.blame is Blame.OURS
    log.log(
        logging.ERROR if ours else logging.WARNING,
        "attempt failed",
        code=failure.code.value,
        reason=failure.message,
        exc_info=error if ours else None,
    )
    return failure
