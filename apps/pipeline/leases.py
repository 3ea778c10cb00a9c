"""Hold a lease while the work runs, and notice when it was taken away."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection

log = structlog.get_logger(__name__)


class LeaseLostError(Exception):
    """The job was stopped, or the work was given to another worker: give up silently."""


class Lease:
    """Renewed by a thread of its own; the work calls `check` now and then."""

    def __init__(self, renew: Callable[[], bool]) -> None:
        self._renew = renew
        self._lost = threading.Event()
        self._over = threading.Event()

    def check(self) -> None:
        """Raises `LeaseLostError` once the lease is gone."""
        if self._lost.is_set():
            raise LeaseLostError

    def _keep(self) -> None:
        try:
            while not self._over.wait(settings.LEASE_RENEWAL_SECONDS):
                try:
                    if not self._renew():
                        self._lost.set()
                        return
                except (OperationalError, InterfaceError):
                    # The database is away. The lease outlasts several renewals; should
                    # it run out all the same, the ledger refuses the late answer.
                    log.warning("lease not renewed", exc_info=True)
                    connection.close()
        finally:
            connection.close()


@contextlib.contextmanager
def held(renew: Callable[[], bool]) -> Iterator[Lease]:
    """Renew every few seconds for as long as the context lasts."""
    lease = Lease(renew)
    keeper = threading.Thread(target=lease._keep, name="lease", daemon=True)
    keeper.start()
    try:
        yield lease
    finally:
        lease._over.set()
        keeper.join()
