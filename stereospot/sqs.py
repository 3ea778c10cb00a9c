"""The embedded SQS is moto's; here it is taught not to count a queue for each message.

moto 5.2 makes all attributes of a queue for each message that it sends or receives, and
three of them are counts: what waits is gone through a dozen times a message, so that a
thousand messages cost a hundred times as much as a hundred.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

from moto.sqs.models import Queue

COUNTS = (
    "approximate_number_of_messages",
    "approximate_number_of_messages_delayed",
    "approximate_number_of_messages_not_visible",
)


@dataclass(frozen=True, slots=True)
class _Count:
    """Counted once somebody is told; moto does so by `str`."""

    count: Callable[[Queue], int]
    queue: Queue

    def __str__(self) -> str:
        return str(self.count(self.queue))


@cache
def count_when_asked() -> None:
    """From now on, in this process, whose server may be started several times."""
    for name in COUNTS:
        setattr(Queue, name, property(partial(_Count, getattr(Queue, name).fget)))
