from __future__ import annotations

from datetime import timedelta

import pytest
from celery import chain, states
from celery.exceptions import ChordError
from celery.result import AsyncResult, GroupResult
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now
from django_celery_results.models import TaskResult
from kombu.exceptions import OperationalError as BrokerError

from apps.pipeline import chords
from apps.pipeline.models import Chord, ChordPart
from tests.pipeline.chords import Trial, at_once

pytestmark = pytest.mark.django_db
really_at_once = pytest.mark.django_db(transaction=True)
AT_ONCE = timedelta(0)


def longer_ago(trial: Trial, seconds: float) -> None:
    """As if the last thing had happened to the chord so long ago."""
    then = now() - timedelta(seconds=seconds)
    Chord.objects.filter(pk=trial.group_id).update(changed_at=then, looked_at=then)


def test_the_last_part_sends_the_body_with_the_results_in_order():
    trial = Trial(3)
    for index in (2, 0):
        trial.succeed(index)
    assert trial.sent() == []
    trial.succeed(1)
    assert trial.sent() == [
        {"task": "body", "id": trial.body.id, "args": [[0, 1, 2]]},
    ]
    assert trial.row.state == "sent"


def test_a_doubled_part_counts_once():
    trial = Trial(2)
    for _ in range(3):
        trial.succeed(0)
    assert (trial.row.state, trial.row.remaining) == ("waiting", 1)
    trial.succeed(1)
    assert len(trial.sent()) == 1


@really_at_once
def test_a_doubled_part_counts_once_when_both_return_at_once():
    trial = Trial(2)
    at_once(*[lambda: trial.succeed(0)] * 6)
    assert (trial.row.state, trial.row.remaining) == ("waiting", 1)


@really_at_once
def test_the_last_parts_send_one_body_when_all_return_at_once():
    trial = Trial(6)
    at_once(*[lambda index=index: trial.succeed(index) for index in range(6)])
    assert trial.row.state == "sent"
    assert len(trial.sent()) == 1


def test_a_part_that_comes_again_after_the_body_was_sent_changes_nothing():
    trial = Trial(1)
    trial.succeed(0)
    trial.sent()
    longer_ago(trial, 3600)
    trial.succeed(0)
    trial.fail(0)
    assert trial.sent() == []
    assert trial.row.state == "sent"


def test_a_chord_applied_again_goes_on_where_it_was():
    trial = Trial(2)
    trial.succeed(0)
    trial.apply()
    assert trial.row.remaining == 1
    trial.succeed(1)
    trial.apply()
    assert len(trial.sent()) == 1


def test_parts_that_return_before_the_size_is_known_wait_for_it():
    trial = Trial(3)
    Chord.objects.update(size=None, remaining=0)
    for index in range(2):
        trial.succeed(index)
    assert (trial.row.state, trial.row.remaining) == ("waiting", -2)
    trial.backend.set_chord_size(trial.group_id, 3)
    assert (trial.row.state, trial.row.remaining) == ("waiting", 1)
    trial.succeed(2)
    assert len(trial.sent()) == 1


def test_a_task_added_to_the_chord_is_waited_for_and_joined():
    trial = Trial(1)
    added = AsyncResult("added", app=trial.app)
    trial.backend.add_to_chord(trial.group_id, added)
    trial.part_ids.append("added")
    trial.succeed(0)
    assert trial.sent() == []
    trial.succeed(1)
    assert trial.sent()[0]["args"] == [[0, 1]]


def test_a_kill_before_the_body_is_sent_is_healed_by_the_parts_redelivery(monkeypatch):
    trial = Trial(1)
    with monkeypatch.context() as killed:
        killed.setattr(chords.ChordBackend, "_send", lambda *arguments: None)
        trial.succeed(0)
    trial.succeed(0)
    assert trial.sent() == [], "whoever made it ready may just be sending"
    longer_ago(trial, chords.SENDING.total_seconds() + 1)
    trial.succeed(0)
    assert [message["id"] for message in trial.sent()] == [trial.body.id]


def test_a_kill_before_the_body_is_sent_is_healed_by_the_sweep(monkeypatch):
    trial = Trial(1)
    with monkeypatch.context() as killed:
        killed.setattr(chords.ChordBackend, "_send", lambda *arguments: None)
        trial.succeed(0)
    assert trial.backend.send_unsent(timedelta(seconds=30)) == 0
    longer_ago(trial, 31)
    assert trial.backend.send_unsent(timedelta(seconds=30)) == 1
    assert trial.backend.send_unsent(AT_ONCE) == 0
    assert [message["id"] for message in trial.sent()] == [trial.body.id]


def test_a_kill_after_the_body_was_sent_sends_it_again_under_the_same_id(monkeypatch):
    trial = Trial(1)
    with monkeypatch.context() as killed:
        killed.setattr(chords.ChordBackend, "_settle", lambda *arguments: None)
        trial.succeed(0)
    longer_ago(trial, 31)
    trial.backend.send_unsent(AT_ONCE)
    assert [message["id"] for message in trial.sent()] == [trial.body.id] * 2


@really_at_once
def test_of_callers_at_once_only_one_sends_the_body(monkeypatch):
    trial = Trial(1)
    with monkeypatch.context() as killed:
        killed.setattr(chords.ChordBackend, "_send", lambda *arguments: None)
        trial.succeed(0)
    longer_ago(trial, 31)
    sweep = [lambda: trial.backend.send_unsent(timedelta(seconds=30))] * 3
    at_once(*sweep, lambda: trial.succeed(0), lambda: trial.succeed(0))
    assert len(trial.sent()) == 1


def test_the_sweep_adds_parts_whose_return_was_lost():
    trial = Trial(3)
    trial.succeed(0)
    trial.store_only(1)
    trial.backend.store_result(trial.part_ids[2], None, states.STARTED)
    assert trial.backend.send_unsent(AT_ONCE) == 1
    assert trial.row.remaining == 1
    trial.store_only(2)
    assert trial.backend.send_unsent(AT_ONCE) == 1
    assert trial.sent()[0]["args"] == [[0, 1, 2]]


def test_the_sweep_takes_a_bounded_number_and_then_the_next(monkeypatch):
    monkeypatch.setattr(chords, "BATCH", 2)
    trials = [Trial(1) for _ in range(5)]
    for trial in trials:
        trial.store_only(0)
    assert [trials[0].backend.send_unsent(AT_ONCE) for _ in range(4)] == [2, 2, 1, 0]


def test_a_body_that_the_broker_does_not_take_is_sent_later(monkeypatch):
    trial = Trial(1)
    with monkeypatch.context() as down:
        down.setattr(chords.ChordBackend, "_signature", lambda *arguments: trial.body)
        down.setattr(type(trial.body), "apply_async", _no_broker)
        trial.succeed(0)
        assert trial.row.state == "ready"
        longer_ago(trial, 31)
        trial.backend.send_unsent(AT_ONCE)
        assert trial.row.state == "ready"
    longer_ago(trial, 31)
    trial.backend.send_unsent(AT_ONCE)
    assert len(trial.sent()) == 1


def test_a_body_that_the_broker_never_takes_fails_in_the_end(monkeypatch):
    trial = Trial(1)
    monkeypatch.setattr(type(trial.body), "apply_async", _no_broker)
    trial.succeed(0)
    longer_ago(trial, chords.PATIENCE.total_seconds() + 1)
    trial.backend.send_unsent(AT_ONCE)
    assert trial.row.state == "failed"
    result = AsyncResult(trial.body.id, app=trial.app)
    assert isinstance(result.result, ChordError)
    assert "too large" in str(result.result)


def _no_broker(*args: object, **kwargs: object) -> None:
    raise RuntimeError("too large")


def test_a_failed_part_fails_the_body_and_says_which_and_how_many():
    trial = Trial(3)
    for index in (0, 2):
        trial.fail(index)
    assert trial.row.state == "waiting", "the others still run"
    trial.succeed(1)
    result = AsyncResult(trial.body.id, app=trial.app)
    assert result.state == states.FAILURE
    assert isinstance(result.result, ChordError)
    assert str(result.result) == (
        f"Dependency {trial.part_ids[0]} raised ValueError('no such film') "
        "(2 of 3 parts failed)"
    )
    assert trial.row.error == str(result.result)
    assert trial.sent() == []


def test_an_errback_that_the_broker_did_not_take_is_sent_by_the_sweep(monkeypatch):
    trial = Trial(1)
    trial.body.link_error(trial.app.signature("errback"))
    Chord.objects.update(body=trial.backend.encode(trial.body))
    send = trial.backend._call_task_errbacks

    def away(*args: object) -> None:
        raise BrokerError("SQS is away")

    monkeypatch.setattr(trial.backend, "_call_task_errbacks", away)
    trial.fail(0)
    assert (trial.row.state, trial.sent()) == ("ready", [])

    monkeypatch.setattr(trial.backend, "_call_task_errbacks", send)
    longer_ago(trial, 31)
    assert trial.backend.send_unsent(AT_ONCE) == 1

    assert trial.row.state == "failed"
    assert [message["task"] for message in trial.sent()] == ["errback"]


@really_at_once
def test_an_errback_is_called_once_however_often_the_parts_come():
    trial = Trial(2)
    trial.body.link_error(trial.app.signature("errback"))
    Chord.objects.update(body=trial.backend.encode(trial.body))
    at_once(*[lambda: trial.fail(0)] * 3, *[lambda: trial.succeed(1)] * 3)
    longer_ago(trial, 31)
    trial.succeed(1)
    trial.backend.send_unsent(AT_ONCE)
    (message,) = trial.sent()
    assert (message["task"], message["args"]) == ("errback", [trial.body.id])


def test_a_part_that_failed_and_then_succeeded_is_a_success():
    trial = Trial(2)
    trial.fail(0)
    trial.succeed(0)
    trial.succeed(1)
    assert trial.sent()[0]["args"] == [[0, 1]]


def test_a_revoked_part_fails_the_chord():
    trial = Trial(1)
    request = trial.request(0)
    trial.backend.mark_as_revoked(request.id, "expired", request=request)
    assert trial.row.state == "failed"


def test_a_part_that_is_retried_counts_when_it_is_over():
    trial = Trial(1)
    request = trial.request(0)
    trial.backend.mark_as_retry(request.id, ValueError("again"), request=request)
    assert trial.row.remaining == 1
    trial.succeed(0)
    assert len(trial.sent()) == 1


def test_the_failure_of_an_inner_chord_reaches_the_outer_one():
    outer = Trial(1)
    inner = Trial(1, chord=outer.body, group_id=outer.group_id)
    outer.part_ids[0] = inner.body.id
    inner.fail(0)
    assert (inner.row.state, outer.row.state) == ("failed", "failed")
    result = AsyncResult(outer.body.id, app=outer.app)
    assert f"Dependency {inner.body.id}" in str(result.result)


@pytest.mark.parametrize("late", [states.STARTED, states.RETRY, states.FAILURE])
def test_success_is_final(late: str):
    trial = Trial(1)
    trial.succeed(0)
    error = None if late == states.STARTED else ValueError("late")
    trial.backend.store_result(trial.part_ids[0], error, late)
    row = TaskResult.objects.get(task_id=trial.part_ids[0])
    assert (row.status, row.result) == (states.SUCCESS, "0")


@really_at_once
def test_success_is_final_when_a_failure_is_stored_at_once():
    trial = Trial(1)
    at_once(
        lambda: trial.store_only(0),
        *[lambda: trial.store_only(0, states.STARTED)] * 5,
    )
    row = TaskResult.objects.get(task_id=trial.part_ids[0])
    assert row.status == states.SUCCESS


def test_an_immutable_body_reads_no_results():
    trial = Trial(2, immutable=True)
    for index in range(2):
        trial.backend.on_chord_part_return(
            trial.request(index, ignore_result=True), states.SUCCESS, index
        )
    assert not TaskResult.objects.exists()
    (message,) = trial.sent()
    assert message["args"] == []


def test_a_chain_that_starts_with_an_immutable_task_reads_no_results(monkeypatch):
    trial = Trial(1)
    monkeypatch.setattr("celery._state._tls.current_app", trial.app)
    first, second = (trial.app.signature(name) for name in ("first", "second"))
    body = chain(first.set(immutable=True), second)
    Chord.objects.update(body=trial.backend.encode(body))
    trial.backend.on_chord_part_return(
        trial.request(0, ignore_result=True, chord=body), states.SUCCESS, 7
    )
    (message,) = trial.sent()
    assert (message["task"], message["args"]) == ("first", [])
    assert not TaskResult.objects.exists()


def test_the_results_of_nested_groups_are_nested():
    trial = Trial(3)
    leaves = [AsyncResult(id, app=trial.app) for id in trial.part_ids]
    inner = GroupResult("inner", leaves[1:], app=trial.app)
    Chord.objects.all().delete()
    trial.backend.apply_chord((trial.group_id, [leaves[0], inner]), trial.body)
    trial.backend.set_chord_size(trial.group_id, 3)
    for index in range(3):
        trial.succeed(index)
    assert trial.sent()[0]["args"] == [[0, [1, 2]]]


def test_a_part_that_ignores_its_result_gives_it_to_a_body_that_wants_it():
    trial = Trial(1)
    request = trial.request(0, ignore_result=True)
    trial.backend.mark_as_done(request.id, 7, request=request, store_result=False)
    assert trial.sent()[0]["args"] == [[7]]


def test_the_queries_of_a_part_and_of_the_join_do_not_grow_with_the_chord():
    def queries(size: int) -> tuple[int, int]:
        trial = Trial(size)
        TaskResult.objects.bulk_create(
            TaskResult(
                task_id=id, status="SUCCESS", result="1", content_encoding="utf-8"
            )
            for id in trial.part_ids
        )
        with CaptureQueriesContext(
            connection,
        ) as first:
            trial.succeed(0)
        ChordPart.objects.bulk_create(
            ChordPart(chord_id=trial.group_id, task_id=id, state="SUCCESS")
            for id in trial.part_ids[1:-1]
        )
        Chord.objects.filter(pk=trial.group_id).update(remaining=1)
        with CaptureQueriesContext(connection) as last:
            trial.succeed(size - 1)
        assert len(trial.sent()[0]["args"][0]) == size
        return len(first), len(last)

    assert queries(3) == queries(1000)
    assert queries(3)[0] == 5  # four of them store its result
    assert max(queries(3)) <= 20


def test_a_part_does_not_read_or_write_the_stored_header():
    trial = Trial(2)
    with CaptureQueriesContext(connection) as captured:
        trial.succeed(0)
    assert not [query for query in captured if '"header"' in query["sql"]]


def test_a_chord_for_which_nothing_comes_is_looked_at_ever_less_often():
    trial = Trial(1)
    longer_ago(trial, 60)
    assert trial.backend.send_unsent(timedelta(seconds=30)) == 0  # it is looked at
    trial.store_only(0)
    for waited, found in ((59, 0), (61, 1)):
        looked_at = now() - timedelta(seconds=waited)
        Chord.objects.update(
            looked_at=looked_at, changed_at=looked_at - timedelta(0, 60)
        )
        assert trial.backend.send_unsent(timedelta(seconds=30)) == found


def test_a_part_that_failed_and_left_no_result_fails_the_chord():
    trial = Trial(1, immutable=True)
    request = trial.request(0, ignore_result=True)
    trial.backend.mark_as_failure(
        request.id, ValueError("no such film"), request=request, store_result=False
    )
    assert trial.row.state == "failed"
    assert trial.row.error == f"Dependency {request.id} failed (1 of 1 parts failed)"


def test_what_expired_is_deleted_in_batches(monkeypatch):
    monkeypatch.setattr("apps.pipeline.results.BATCH", 2)
    old, young = Trial(5), Trial(1)
    for index in range(5):
        old.succeed(index)
    young.succeed(0)
    long_ago = now() - timedelta(days=30)
    longer_ago(old, 30 * 24 * 3600)
    TaskResult.objects.filter(task_id__in=old.part_ids).update(date_done=long_ago)
    old.backend.cleanup()
    assert list(Chord.objects.values_list("pk", flat=True)) == [young.group_id]
    assert list(ChordPart.objects.values_list("task_id", flat=True)) == young.part_ids
    assert list(TaskResult.objects.values_list("task_id", flat=True)) == young.part_ids


def test_a_message_for_a_chord_that_is_gone_does_no_harm():
    trial = Trial(1)
    Chord.objects.all().delete()
    trial.succeed(0)
    assert trial.sent() == []
