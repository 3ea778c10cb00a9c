"""Leases that are renewed beside the work."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from celery.exceptions import Ignore
from django.db import connection

from apps.jobs import ledger
from apps.jobs.models import Job, Segment
from apps.pipeline import leases
from apps.pipeline.attempts import attempt
from apps.pipeline.backends import SegmentClaim, calls
from apps.pipeline.backends.http import Http
from apps.pipeline.keepers import Keepers
from tests.pipeline.server import Scripted, serving

MANY = 40


@pytest.fixture(autouse=True)
def hurry(settings, monkeypatch) -> None:
    settings.LEASE_RENEWAL_SECONDS = 0.05
    monkeypatch.setattr(calls, "TICK", 0.1)


def until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


class Counted:
    """Claims of which is counted how often they are renewed, and by whom."""

    def __init__(self) -> None:
        self.renewals: Counter[int] = Counter()
        self.threads: set[int] = set()

    def renew(self, number: int) -> bool:
        self.renewals[number] += 1
        self.threads.add(threading.get_ident())
        return True


def test_few_threads_renew_many_and_none_is_left():
    keepers, counted = Keepers(most=3), Counted()
    kept = [partial(counted.renew, number) for number in range(MANY)]

    for renew in kept:
        keepers.keep(renew)
    until(lambda: len(counted.renewals) == MANY and min(counted.renewals.values()) > 2)
    for renew in kept:
        keepers.leave(renew)

    assert len(counted.threads) <= 3
    assert not keepers._threads


def test_one_that_is_kept_waiting_does_not_let_the_others_expire():
    keepers, counted, over = Keepers(most=2), Counted(), threading.Event()

    def stuck() -> bool:
        return over.wait(60)

    others = [partial(counted.renew, number) for number in range(MANY)]
    for renew in (stuck, *others):
        keepers.keep(renew)

    until(lambda: len(counted.renewals) == MANY and min(counted.renewals.values()) > 2)

    over.set()
    for renew in (stuck, *others):
        keepers.leave(renew)


def test_what_was_left_is_not_renewed_again():
    keepers, counted = Keepers(most=1), Counted()
    first, second = partial(counted.renew, 1), partial(counted.renew, 2)
    keepers.keep(first)
    keepers.keep(second)
    until(lambda: counted.renewals[1])

    keepers.leave(first)
    before = counted.renewals[1]
    seen = counted.renewals[2]
    until(lambda: counted.renewals[2] > seen + 3)
    keepers.leave(second)

    assert counted.renewals[1] == before


def test_who_comes_when_the_last_one_leaves_is_renewed():
    keepers, counted = Keepers(most=2), Counted()
    for number in range(30):
        renew = partial(counted.renew, number)
        keepers.keep(renew)
        until(lambda number=number: counted.renewals[number])
        keepers.leave(renew)


@pytest.mark.django_db(transaction=True)
def test_many_segments_that_wait_for_a_server_need_few_connections(
    job, frames, settings
):
    settings.INFERENCE_MAX_IN_FLIGHT = MANY
    Job.objects.update(total_segments=MANY)
    for index in range(3, MANY):
        Segment.objects.create(
            job=job,
            index=index,
            frames=frames.model_dump(mode="json"),
            frame_count=25,
            status="pending",
        )
    claims = [ledger.claim_segment(job.pk, index) for index in range(1, MANY)]
    with serving(Scripted(lambda uri: None)) as server:
        server.script.extend(["hang"] * MANY)
        waiting = [
            threading.Thread(target=wait_for, args=(server.url, segment))
            for segment in claims
        ]
        for thread in waiting:
            thread.start()
        until(lambda: len(server.asked) == len(claims))
        most = max(connections() for _ in range(20))
        ledger.cancel(job.pk)
        for thread in waiting:
            thread.join()

    # This one, and those of the keepers; some note that they wait, one after the other.
    assert most <= 1 + leases.KEEPERS._most + MANY / 4


def wait_for(url: str, segment: Any) -> None:
    claim = SegmentClaim(segment)
    try:
        with pytest.raises(Ignore):  # the job was cancelled
            attempt(claim, lambda lease: Http(url, None).make(claim, lease))
    finally:
        connection.close()


def connections() -> int:
    """To this test's database, now."""
    time.sleep(0.1)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        )
        return int(cursor.fetchone()[0])
