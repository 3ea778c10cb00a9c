"""What the looks of a sweep share: rows one by one, and queues that hold too much."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import structlog
from django.db import InterfaceError, OperationalError
from django.db.models import QuerySet

log = structlog.get_logger(__name__)

BATCH = 500
"""Most rows of a kind that one sweep treats; the next one goes on."""

Row = TypeVar("Row")


def each(rows: Iterable[Row], act: Callable[[Row], object]) -> int:
    """How many were acted on; a row that makes trouble does not stop the others."""
    number = 0
    for row in rows:
        try:
            number += bool(act(row))
        except (InterfaceError, OperationalError):
            raise
        except Exception:
            log.exception("could not sweep", row=str(row))
    return number


def is_crowded(found: int, *waiting: QuerySet[Any]) -> bool:
    """Whether a queue holds more than two messages for each row that waits for one.

    What waits for long behind many is sent again, once or twice. Without a bound a busy
    queue would grow by all of it with each patience, until nothing else came to its turn.
    What is lost then waits until the queue is shorter: it would have waited in there, too.
    """
    return found > 2 * count(waiting, found + 1)


def count(waiting: Iterable[QuerySet[Any]], most: int) -> int:
    """How many there are, counted no further than `most` of each."""
    return sum(rows.order_by()[:most].count() for rows in waiting)
