"""How many of a kind of errand a worker runs at once: those that find no room come again.

A worker of `control` has four threads, of which the sweep needs one in time, however many
addresses, buckets and tables take their seconds to not answer.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from threading import BoundedSemaphore

PUT_BACK = 5
"""Seconds before an errand that found no room comes again."""


class FullError(Exception):
    """As many are being run as may be."""


class Room:
    """For so many at once in a process."""

    def __init__(self, most: int) -> None:
        self._places = BoundedSemaphore(most)

    @contextlib.contextmanager
    def place(self) -> Iterator[None]:
        """To run one errand in; raises `FullError`."""
        if not self._places.acquire(blocking=False):
            raise FullError
        try:
            yield
        finally:
            self._places.release()


TELLING = Room(2)
HANDING_OVER = Room(1)
"""Apart from the notices: a table that is away makes no person wait."""
