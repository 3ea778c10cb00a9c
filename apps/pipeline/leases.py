"""Hold a lease while the work runs, and stop the work when it is time to.

The work calls `Lease.check` often. It hears there that somebody has cancelled the job,
that another worker has it now, or that this worker has to stop and cannot finish it.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Protocol, TypeVar

import structlog
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connection

from apps.jobs import ledger
from apps.jobs.models import Job
from apps.pipeline.keepers import Keepers
from apps.pipeline.outage import OUTAGE, outlast
from workers import drain

log = structlog.get_logger(__name__)

Result = TypeVar("Result")

KEEPERS = Keepers(most=4)
"""Of this process: the connections that it needs for its leases, however many it holds."""
PUT_BACK_SECONDS = 3.0
"""Of a worker's last seconds: enough to put its work back."""


class LeaseLostError(Exception):
    """The job was stopped, or the work was given to another worker: give up silently."""


class DrainedError(Exception):
    """The worker has to stop before the work would be finished."""


class Claim(Protocol):
    """What was claimed in the ledger, for one attempt."""

    def renew(self) -> bool:
        """The attempt lives; False when it was taken away."""

    def release(self) -> bool:
        """Put it back, for others to go on with at once."""

    def remaining(self, elapsed: float) -> float:
        """Seconds that the work will still take, by what it took so far."""


class StageClaim:
    """A job, claimed for one of its own stages."""

    def __init__(self, job: Job) -> None:
        self._job = job

    def renew(self) -> bool:
        return ledger.renew_stage(self._job)

    def release(self) -> bool:
        return ledger.release_stage(self._job)

    def remaining(self, elapsed: float) -> float:
        # Nobody knows. What has lasted for long will last for long: of all guesses
        # that need no more knowledge, as long again is never wrong by much.
        return elapsed


class Lease:
    """Renewed beside the work, by `KEEPERS`."""

    def __init__(self, claim: Claim) -> None:
        self._claim = claim
        self._begun = time.monotonic()
        self._lost = threading.Event()
        self._fits: bool | None = None

    def check(self) -> None:
        """Raises `LeaseLostError` or `DrainedError` when the work is to stop."""
        if self._lost.is_set():
            raise LeaseLostError
        left = drain.seconds_left(settings.SHUTDOWN_GRACE_SECONDS)
        if left is None:
            return
        left -= PUT_BACK_SECONDS
        if self._fits is None:  # asked once, or the answer would come late
            elapsed = time.monotonic() - self._begun
            self._fits = self._claim.remaining(elapsed) <= left
        if left <= 0 or not self._fits:
            raise DrainedError

    def renew(self) -> bool:
        """False when that is over."""
        if time.monotonic() - self._begun > settings.CELERY_TASK_TIME_LIMIT:
            # It hangs: pools other than prefork cannot kill it.
            log.error("lease no longer renewed: the work hangs")
            self._lost.set()
            return False
        try:
            renewed = self._claim.renew()
        except OUTAGE:
            # The database is away, for others too. The ledger refuses the answer, should
            # the lease be given to somebody meanwhile.
            log.warning("lease not renewed", exc_info=True)
            connection.close()
            return True
        except Exception:
            log.exception("lease no longer renewed")
            renewed = False
        if not renewed:
            self._lost.set()
        return renewed


@contextlib.contextmanager
def held(claim: Claim) -> Iterator[Lease]:
    """Renew every few seconds for as long as the context lasts."""
    lease = Lease(claim)
    KEEPERS.keep(lease.renew)
    try:
        yield lease
    finally:
        KEEPERS.leave(lease.renew)


def recorded(record: Callable[[], Result]) -> Result:
    """Read or write the ledger, although the database may be away for a while."""
    grace = settings.SHUTDOWN_GRACE_SECONDS - PUT_BACK_SECONDS
    return outlast(record, using=DEFAULT_DB_ALIAS, grace=grace)
