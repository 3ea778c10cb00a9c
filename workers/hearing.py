"""What this process has asked SQS for: how often, and when it last asked for messages."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

_last_poll = time.monotonic()
_calls: Counter[str] = Counter()
"""By operation. A thread may lose one to another; these are figures, not accounts."""


def note_poll() -> None:
    """A poll begins."""
    global _last_poll
    _last_poll = time.monotonic()
    _calls["ReceiveMessage"] += 1


def note_call(model: Any, **event: Any) -> None:
    """boto calls SQS; polls were noted when they began."""
    if model.name != "ReceiveMessage":
        _calls[model.name] += 1


def silence() -> float:
    """Seconds since the last poll began."""
    return time.monotonic() - _last_poll


def taken_calls() -> dict[str, int]:
    """Calls since this was last asked."""
    taken = {}
    for operation in list(_calls):
        taken[operation] = _calls.pop(operation)
    return taken
