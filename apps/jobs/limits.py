"""How often somebody may try something: a bucket that leaks, one row each.

`count(limit, whom)` before the thing that is limited, on a page or in the API, raises
`TooManyRequestsError`, a `StereoSpotError` that says how many seconds to wait. Each call
is one statement, so of many at once no more are let through than one after the other.

    limits.count(limits.CREATION, user.pk)        # a new film

`withdraw` takes a try back that turned out well: of signing in only failures count.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from datetime import datetime

from django.db import connection
from django.utils.timezone import now

from apps.jobs.models import Rate
from apps.jobs.templatetags.words import duration
from contract.errors import ErrorCode, StereoSpotError


@dataclass(frozen=True, slots=True)
class Limit:
    """`free` tries at once, and one more each `leak` seconds.

    Whoever tries more than that pauses: `pause` seconds, after the next try twice as
    long, and so on up to `longest`.
    """

    name: str
    free: int
    leak: float
    pause: float
    longest: float


CREATION = Limit("creation", free=60, leak=10, pause=10, longest=10)
"""New films of one person, and retries: a folder of them at once, then one each ten
seconds."""


class TooManyRequestsError(StereoSpotError):
    """For HTTP 429; `retry_after` is in whole seconds."""

    def __init__(self, retry_after: int, message: str = "") -> None:
        wait = f"Try again in {duration(retry_after)}."
        said = message or f"That was too often in a short time. {wait}"
        super().__init__(ErrorCode.TOO_MANY_REQUESTS, said)
        self.retry_after = retry_after


# A pause is decided and written by one statement, once less than one whole try is left.
# While it lasts nothing is counted, so hammering makes it no longer. The clock is asked, for
# a statement that waited for the row began before the one that it waited for.
_COUNT = """
INSERT INTO jobs_rate AS rate (key, level, at, pause_until, empty_at)
VALUES (%(key)s, 1, statement_timestamp(),
        statement_timestamp() + make_interval(secs => %(first)s),
        statement_timestamp() + make_interval(secs => %(leak)s))
ON CONFLICT (key) DO UPDATE SET (level, at, pause_until, empty_at) = (
    SELECT level, clock_timestamp(),
           clock_timestamp() + make_interval(secs => CASE
               WHEN level <= %(free)s - 1 THEN 0
               ELSE least(%(longest)s,
                   %(pause)s * power(2, least(ceil(level - %(free)s), 60)))
           END),
           clock_timestamp() + make_interval(secs => level * %(leak)s)
    FROM (SELECT 1 + greatest(0, rate.level
              - extract(epoch FROM clock_timestamp() - rate.at) / %(leak)s)) AS now(level)
)
WHERE rate.pause_until <= clock_timestamp()
RETURNING level
"""


def count(limit: Limit, whom: object) -> None:
    """One more try of `whom`; raises `TooManyRequestsError` while they have to pause."""
    key = _key(limit, whom)
    facts: dict[str, str | float] = {
        "key": key,
        "free": limit.free,
        "leak": limit.leak,
        "pause": limit.pause,
        "longest": limit.longest,
        "first": limit.pause if limit.free <= 1 else 0,
    }
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, facts)
        if cursor.fetchone():
            return
    until = Rate.objects.filter(pk=key).values_list("pause_until", flat=True)
    raise TooManyRequestsError(_seconds_to(until.first()))


def withdraw(limit: Limit, whom: object) -> None:
    """A try that turned out well is forgotten, with the pause that it brought."""
    rate = Rate.objects.filter(pk=_key(limit, whom)).first()
    if rate is not None:
        level = max(0.0, rate.level - 1)
        Rate.objects.filter(pk=rate.pk, at=rate.at).update(
            level=level, pause_until=rate.at
        )


def forget(limit: Limit, whom: object) -> None:
    """All tries of `whom`."""
    Rate.objects.filter(pk=_key(limit, whom)).delete()


def forget_old() -> int:
    """Delete the rows that say nothing any more; how many there were."""
    return Rate.objects.filter(empty_at__lt=now(), pause_until__lt=now()).delete()[0]


def _key(limit: Limit, whom: object) -> str:
    # A digest, for names that people type may be long, or passwords by mistake.
    return f"{limit.name}:{hashlib.sha256(str(whom).encode()).hexdigest()[:32]}"


def _seconds_to(moment: datetime | None) -> int:
    left = (moment - now()).total_seconds() if moment else 0
    return max(1, math.ceil(left))
