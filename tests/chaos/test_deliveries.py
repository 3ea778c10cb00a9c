"""Dead letters without a reason are found, and mechanisms that never worked."""

from __future__ import annotations

import json

import pytest

from tests.chaos import deliveries, mechanisms
from tests.chaos.deliveries import Dead
from tests.chaos.journal import Entry

MOST = 6
JOB = "6f1f1c58-8f4c-4c35-a6c9-5a5f4d0f8a11"


def letter(task: str = "infer") -> Dead:
    arguments = [[JOB, 1], {}, {}] if task == "infer" else [[], {}, {}]
    envelope = {
        "headers": {"task": task, "id": "T"},
        "properties": {"body_encoding": "utf-8"},
        "content-type": "application/json",
        "body": json.dumps(arguments),
    }
    return Dead("gpu", "M", json.dumps(envelope))


def received(at: float, message: str = "M") -> Entry:
    return Entry("received", at, pid=70, group=70, task="T", detail=message)


def child(what: str, at: float, detail: str = "") -> Entry:
    return Entry(what, at, pid=7, group=70, task="T", detail=detail)


def kill(at: float, pid: int = 7, group: int = 70) -> Entry:
    return Entry("killed", at, pid=pid, group=group)


HARMS = {
    "child killed": lambda at: [child("started", at), kill(at)],
    "worker killed": lambda at: [child("started", at), kill(at, pid=0)],
    "worker killed before it began": lambda at: [kill(at, pid=0)],
    "put back": lambda at: [child("started", at), child("ended", at, "REJECTED")],
}


def deliver(times: int, harm) -> list[Entry]:
    return [entry for at in range(times) for entry in (received(at), *harm(at + 0.5))]


def found(entries: list[Entry], *letters: Dead) -> list[str]:
    return [str(each) for each in deliveries.unexplained(letters, entries)]


def test_so_many_deliveries_are_those_of_the_queues():
    assert deliveries.most_deliveries() == MOST


@pytest.mark.parametrize("harm", HARMS.values(), ids=HARMS)
def test_a_letter_is_explained_when_each_of_its_deliveries_was_harmed(harm):
    assert found(deliver(MOST, harm), letter()) == []


@pytest.mark.parametrize("harm", HARMS.values(), ids=HARMS)
def test_a_letter_with_a_delivery_that_nobody_harmed_is_found(harm):
    entries = [*deliver(MOST - 1, harm), received(MOST)]

    assert found(entries, letter()) == [
        f"message: {JOB} dead in the queue gpu: infer T, "
        "but 5 of 6 deliveries were harmed"
    ]


@pytest.mark.parametrize(
    "other",
    [
        lambda at: [child("started", at), kill(at, pid=8)],
        lambda at: [child("started", at), kill(at, pid=0, group=80)],
        lambda at: [child("started", at), child("ended", at, "SUCCESS"), kill(at)],
        lambda at: [child("ended", at, "IGNORED")],
    ],
)
def test_what_others_suffered_does_not_explain_a_letter(other):
    [violation] = found(deliver(MOST, other), letter())

    assert "0 of 6" in violation


def test_a_job_that_is_over_or_a_sweep_is_no_reason():
    [violation] = found([], letter("sweep"))

    assert violation.startswith("message:  dead in the queue gpu: sweep T,")


def test_the_deliveries_of_another_message_do_not_count():
    others = [received(at, "N") for at in range(MOST)]
    harmed = [*others, *(kill(entry.at + 0.5, pid=0) for entry in others)]

    assert len(found(harmed, letter())) == 1


@pytest.mark.parametrize("body", ["noise", "[]"])
def test_a_letter_that_is_not_ours_is_found(body):
    [violation] = found([], Dead("media", "M", body))

    assert violation.startswith("message:  dead in the queue media: no task")


CONCATS = [Entry("concat", at, detail="ledger") for at in range(3)]


def test_chords_that_never_ring_are_found():
    [violation] = mechanisms.silent_chords(CONCATS, completed=3)

    assert str(violation) == "worker:  no chord ever rang for 3 films"


def test_one_chord_that_rang_or_too_few_films_are_enough():
    rung = Entry("concat", 4, detail="chord")

    assert list(mechanisms.silent_chords([*CONCATS, rung], completed=3)) == []
    assert list(mechanisms.silent_chords(CONCATS[:2], completed=2)) == []


def inference(seconds: float) -> list[Entry]:
    return [Entry("called", 1, 7, 70, JOB, 0, 1), child_done(1 + seconds)]


def child_done(at: float) -> Entry:
    return Entry("done", at, 7, 70, JOB, 0, 1)


def test_a_visibility_that_nobody_extends_is_found():
    [violation] = mechanisms.missing_extensions(inference(9), 0, visibility=8)

    assert violation.kind == "worker"
    assert violation.what == ("no visibility was extended, but an inference took 9.0 s")


def test_extensions_are_not_missed_where_all_inferences_are_short():
    assert list(mechanisms.missing_extensions(inference(7), 0, visibility=8)) == []
    assert list(mechanisms.missing_extensions(inference(9), 1, visibility=8)) == []
