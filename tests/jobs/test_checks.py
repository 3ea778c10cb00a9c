from __future__ import annotations

import pytest

from apps.jobs.checks import (
    leases_outlast_their_renewal,
    servers_wait_for_who_takes_over,
    time_limits_form_a_ladder,
)


def test_the_settings_we_ship_pass_their_own_checks():
    assert time_limits_form_a_ladder() == []
    assert leases_outlast_their_renewal() == []
    assert servers_wait_for_who_takes_over() == []


@pytest.mark.parametrize(
    ("cap", "hard", "soft", "tool"),
    [(100, 100, 50, 20), (100, 50, 50, 20), (50, 100, 20, 10), (100, 50, 20, 20)],
)
def test_a_message_that_returns_while_its_task_runs_is_an_error(
    settings, cap, hard, soft, tool
):
    settings.QUEUE_VISIBILITY_CAP_SECONDS = cap
    settings.CELERY_TASK_TIME_LIMIT = hard
    settings.CELERY_TASK_SOFT_TIME_LIMIT = soft
    settings.SANDBOX_SECONDS = tool

    assert [error.id for error in time_limits_form_a_ladder()] == ["jobs.E001"]


@pytest.mark.parametrize("name", ["INVOCATION_WAIT_SECONDS", "SAGEMAKER_QUEUE_SECONDS"])
def test_an_answer_that_is_waited_for_too_long_is_an_error(settings, name):
    setattr(settings, name, settings.LATE_WRITER_SECONDS)

    assert [error.id for error in time_limits_form_a_ladder()] == ["jobs.E001"]


def test_the_longest_invocation_that_may_be_asked_for_keeps_the_ladder(settings):
    settings.SAGEMAKER_INVOKE_TIMEOUT_SECONDS = 3600

    assert time_limits_form_a_ladder() == []


def test_a_lease_that_one_slow_renewal_loses_is_an_error(settings):
    settings.LEASE_RENEWAL_SECONDS = settings.LEASE_SECONDS / 2

    assert [error.id for error in leases_outlast_their_renewal()] == ["jobs.E002"]


@pytest.mark.parametrize("linger", [60, 269, 3 * 3600])
def test_a_server_that_gives_up_before_the_next_worker_comes_is_an_error(
    settings, linger
):
    settings.INVOCATION_LINGER_SECONDS = linger

    assert [error.id for error in servers_wait_for_who_takes_over()] == ["jobs.E003"]


def test_of_the_numbers_that_say_when_the_next_worker_comes_each_counts(settings):
    settings.INVOCATION_LINGER_SECONDS = 270
    assert servers_wait_for_who_takes_over() == []

    settings.RETRY_PAUSES = (15, 121)
    assert [error.id for error in servers_wait_for_who_takes_over()] == ["jobs.E003"]
