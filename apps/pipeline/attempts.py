"""One attempt at a piece of work: its lease, its log context, its failure.

The edge where exceptions become facts of the ledger. Nothing below it has a broad
`except`, and nothing above it sees an exception.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

import structlog
from celery.exceptions import Ignore, Reject, SoftTimeLimitExceeded, TaskPredicate

from apps.monitoring import tallies
from apps.pipeline import leases
from apps.pipeline.connections import unused
from apps.pipeline.leases import (
    Claim,
    DrainedError,
    Lease,
    LeaseLostError,
    recorded,
)
from apps.pipeline.outage import OUTAGE
from contract.errors import Blame, ErrorCode, StereoSpotError
from inference.memory import is_out_of_memory

log = structlog.get_logger(__name__)

Result = TypeVar("Result")


def attempt(claim: Claim, work: Callable[[Lease], Result]) -> Result | StereoSpotError:
    """Do the work under a lease; what it gave, or why it failed.

    Raises what Celery takes for "this delivery says nothing about the task": `Ignore`
    when the work was taken away, `Reject` when it was put back for another worker.
    """
    log.info("attempt started")
    try:
        with unused(), leases.held(claim) as lease:
            result = work(lease)
    except LeaseLostError:
        log.info("attempt stopped: the lease is gone")
        raise Ignore from None
    except DrainedError as drained:
        recorded(claim.release)
        log.info("attempt put back: the worker has to stop")
        raise Reject(drained, requeue=True) from None
    except TaskPredicate:
        raise  # the database was away until this worker had to stop
    except Exception as error:  # noqa: BLE001 (the edge, see above)
        return _as_failure(error)
    log.info("attempt finished")
    return result


def _as_failure(error: Exception) -> StereoSpotError:
    if isinstance(error, StereoSpotError):
        failure = error
    elif is_out_of_memory(error):
        failure = StereoSpotError(
            ErrorCode.OUT_OF_MEMORY, "The worker ran out of memory."
        )
    elif isinstance(error, OUTAGE):
        failure = StereoSpotError(ErrorCode.STORAGE, "The database did not answer.")
    elif isinstance(error, SoftTimeLimitExceeded):
        failure = StereoSpotError(ErrorCode.INTERNAL, "It took longer than is allowed.")
    else:
        failure = StereoSpotError(
            ErrorCode.INTERNAL,
            f"Something that we did not expect ({type(error).__name__}); it is in our log.",
        )
    tallies.count("failed_attempts", failure.code.value)
    ours = failure.code.blame is Blame.OURS
    log.log(
        logging.ERROR if ours else logging.WARNING,
        "attempt failed",
        code=failure.code.value,
        reason=failure.message,
        exc_info=error if ours else None,
    )
    return failure
