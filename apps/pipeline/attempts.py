"""One attempt at a piece of work: its lease, its log context, its failure.

The edge where exceptions become facts of the ledger. Nothing below it has a broad
`except`, and nothing above it sees an exception.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import structlog
from celery.exceptions import SoftTimeLimitExceeded

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
        40 if ours else 30,
        "attempt failed",
        code=failure.code.value,
        reason=failure.message,
        exc_info=error if ours else None,
    )
    return failure
