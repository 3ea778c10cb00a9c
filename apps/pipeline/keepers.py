"""Renew many leases with few threads: each thread has a connection to the database.

A worker may wait for a hundred segments at once. One thread would do, but for a renewal
that is kept waiting, by a lock for instance: the others must not expire behind it.
"""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable

from django.conf import settings
from django.db import connection

Renew = Callable[[], bool]
"""False when it need not be called again."""


class Keepers:
    """Calls every `Renew` it was given each `LEASE_RENEWAL_SECONDS`, with `most` threads
    at most, and with none while it has none."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._changed = threading.Condition()
        self._kept: set[Renew] = set()
        self._due: list[tuple[float, int, Renew]] = []
        """A heap: when, and of whom. What is not kept any more may still be in it."""
        self._numbers = itertools.count()
        self._busy: set[Renew] = set()
        self._threads: set[threading.Thread] = set()

    def keep(self, renew: Renew) -> None:
        with self._changed:
            self._kept.add(renew)
            self._schedule(renew)
            if len(self._threads) < min(self._most, len(self._kept)):
                thread = threading.Thread(target=self._run, name="keeper", daemon=True)
                self._threads.add(thread)
                thread.start()

    def leave(self, renew: Renew) -> None:
        """Not called any more once this returns, unless the database does not answer."""

        def is_left() -> bool:
            # The last one waits until the connections are closed, too.
            return renew not in self._busy and bool(self._kept or not self._threads)

        with self._changed:
            self._kept.discard(renew)
            self._changed.notify_all()
            self._changed.wait_for(is_left, settings.LEASE_RENEWAL_SECONDS)

    def _run(self) -> None:
        while True:
            while (renew := self._next()) is not None:
                self._done(renew, again=renew())
            connection.close()
            with self._changed:
                if self._kept:
                    continue  # somebody came meanwhile
                self._threads.discard(threading.current_thread())
                self._changed.notify_all()
                return

    def _next(self) -> Renew | None:
        """Whose turn it is, once it is; None when there is nobody left."""
        with self._changed:
            while self._kept:
                at, _, renew = self._due[0] if self._due else (float("inf"), 0, None)
                if renew is None or (wait := at - time.monotonic()) > 0:
                    self._changed.wait(None if renew is None else wait)
                    continue
                heapq.heappop(self._due)
                if renew in self._kept:
                    self._busy.add(renew)
                    return renew
            return None

    def _done(self, renew: Renew, *, again: bool) -> None:
        with self._changed:
            self._busy.discard(renew)
            if again and renew in self._kept:
                self._schedule(renew)
            self._changed.notify_all()

    def _schedule(self, renew: Renew) -> None:
        at = time.monotonic() + settings.LEASE_RENEWAL_SECONDS
        heapq.heappush(self._due, (at, next(self._numbers), renew))
        self._changed.notify_all()
