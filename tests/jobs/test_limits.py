from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models import F
from django.utils.timezone import now

from apps.jobs import limits
from apps.jobs.limits import Limit, TooManyRequestsError
from apps.jobs.models import Rate
from contract.errors import Blame
from tests.concurrency import at_once

LIMIT = Limit("test", free=3, leak=100, pause=10, longest=60)


def let_through(whom: object = "alice", limit: Limit = LIMIT) -> bool:
    try:
        limits.count(limit, whom)
    except TooManyRequestsError:
        return False
    return True


def pause_of(whom: object = "alice") -> int:
    with pytest.raises(TooManyRequestsError) as refused:
        limits.count(LIMIT, whom)
    return refused.value.retry_after


def wait(seconds: float) -> None:
    earlier = timedelta(seconds=seconds)
    Rate.objects.update(
        at=F("at") - earlier,
        pause_until=F("pause_until") - earlier,
        empty_at=F("empty_at") - earlier,
    )


@pytest.mark.django_db
def test_as_many_as_are_free_go_at_once_and_then_there_is_a_pause():
    assert [let_through() for _ in range(5)] == [True, True, True, False, False]
    assert pause_of() == 10


@pytest.mark.django_db
def test_the_refusal_says_how_long_to_wait_and_that_the_person_must():
    for _ in range(3):
        let_through()

    with pytest.raises(TooManyRequestsError, match="Try again in 10 s") as refused:
        limits.count(LIMIT, "alice")

    assert refused.value.code.blame is Blame.USER


@pytest.mark.django_db
def test_pauses_grow_to_a_longest_one():
    for _ in range(3):
        let_through()
    pauses = []
    for _ in range(5):
        pauses.append(pause_of())
        wait(pauses[-1])
        assert let_through()

    assert pauses[0] == 10
    assert pauses == sorted(pauses)
    assert pauses[-1] == 60


@pytest.mark.django_db
def test_whoever_hammers_does_not_wait_longer_for_it():
    for _ in range(3):
        let_through()
    first = pause_of()
    for _ in range(20):
        let_through()

    assert pause_of() <= first
    wait(first)
    assert let_through()


@pytest.mark.django_db
def test_what_was_tried_leaks_away():
    for _ in range(3):
        let_through()
    wait(3 * LIMIT.leak)

    assert [let_through() for _ in range(4)] == [True, True, True, False]


@pytest.mark.django_db
def test_each_person_and_each_limit_counts_alone():
    other = Limit("other", free=3, leak=100, pause=10, longest=60)
    for _ in range(4):
        let_through("alice")

    assert let_through("charlie")
    assert let_through("alice", other)


@pytest.mark.django_db
def test_a_try_that_turned_out_well_is_taken_back():
    for _ in range(3):
        let_through()
    limits.withdraw(LIMIT, "alice")

    assert let_through()
    assert not let_through()


@pytest.mark.django_db
def test_a_single_try_may_be_all_that_is_free():
    once = Limit("once", free=1, leak=100, pause=10, longest=60)

    assert let_through("alice", once)
    assert not let_through("alice", once)


@pytest.mark.django_db
def test_rows_that_say_nothing_any_more_are_deleted_and_others_stay():
    let_through("alice")
    wait(LIMIT.leak + 1)
    for _ in range(3):
        let_through("charlie")

    assert limits.forget_old() == 1
    assert not let_through("charlie")


@pytest.mark.django_db
def test_a_name_that_was_typed_is_not_kept():
    let_through("my password, by mistake")

    assert "password" not in Rate.objects.get().key
    assert Rate.objects.get().at <= now()


@pytest.mark.django_db(transaction=True)
def test_of_many_at_once_no_more_get_through_than_one_after_the_other():
    assert sum(at_once([let_through] * 12)) == LIMIT.free


@pytest.mark.django_db(transaction=True)
def test_of_many_at_once_all_get_through_who_may():
    generous = Limit("generous", free=60, leak=100, pause=10, longest=60)

    assert all(at_once([lambda: let_through(limit=generous)] * 12))
