"""When this process last asked its queue for messages; see `workers.pulse`."""

from __future__ import annotations

import time

_last_poll = time.monotonic()


def note_poll() -> None:
    """A poll begins."""
    global _last_poll
    _last_poll = time.monotonic()


def silence() -> float:
    """Seconds since then."""
    return time.monotonic() - _last_poll
