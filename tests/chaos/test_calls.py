"""Work that was done twice is found, whatever else had happened meanwhile."""

from __future__ import annotations

import pytest

from tests.chaos import calls
from tests.chaos.calls import Allowance
from tests.chaos.figures import summary
from tests.chaos.journal import Entry


def note(what: str, at: float, attempt: int = 1, **facts: int | str) -> Entry:
    """About a segment, by the process that has it."""
    facts = {"pid": 7, "group": 70, "index": 0} | facts
    return Entry(what, at, job="job", attempt=attempt, **facts)


def call(at: float, attempt: int, **facts: int) -> Entry:
    return note("called", at, attempt, **facts)


CAUSES = {
    "killed child": Entry("killed", 3, pid=7, group=70),
    "killed worker": Entry("killed", 3, pid=0, group=70),
    "database": Entry("database", 3),
    "told to fail": note("told to fail", 3),
    "put back": note("gave up", 3, detail="DrainedError"),
}


def doubled(*entries: Entry) -> list[str]:
    return [violation.what for violation in calls.doubled(entries)]


def test_a_segment_made_again_for_no_reason_is_doubled():
    [violation] = calls.doubled([call(1, 1), call(5, 2)])

    assert str(violation) == (
        "doubled: job segment 0 was made again after 4.0 s for no reason"
    )


@pytest.mark.parametrize("cause", CAUSES.values(), ids=CAUSES)
def test_a_segment_may_be_made_again_after_a_misfortune(cause):
    entries = [call(1, 1), cause, call(5, 2), note("done", 6, 2)]

    assert doubled(*entries) == []
    assert list(calls.too_many(entries)) == []


@pytest.mark.parametrize(
    "other",
    [
        Entry("killed", 3, pid=8, group=70),
        Entry("killed", 3, pid=0, group=80),
        Entry("killed", 6, pid=0, group=70),
        Entry("database", 0.5),
        note("told to fail", 3, index=1),
        note("gave up", 3, detail="LeaseLostError"),
        note("refused", 3),
    ],
)
def test_the_misfortune_of_others_is_no_reason(other):
    assert doubled(call(1, 1), other, call(5, 2)) == [
        "segment 0 was made again after 4.0 s for no reason"
    ]


@pytest.mark.parametrize("cause", sorted(CAUSES.keys() - {"put back"}))
@pytest.mark.parametrize("done_at", [2, 4, 6])
def test_nothing_excuses_making_again_what_the_ledger_has_accepted(cause, done_at):
    entries = [call(1, 1), CAUSES[cause], note("done", done_at), call(5, 2)]

    assert doubled(*entries) == [
        "segment 0 was made again after 4.0 s although it was done"
    ]


@pytest.mark.parametrize("cause", ["killed worker", "database"])
def test_what_happens_after_an_answer_excuses_nothing(cause):
    """Also if the ledger has refused it: the segment was lost before that."""
    assert doubled(call(1, 1), note("refused", 2), CAUSES[cause], call(5, 2)) == [
        "segment 0 was made again after 4.0 s for no reason"
    ]


def test_an_outage_excuses_a_call_whose_answer_was_refused_later():
    entries = [call(1, 1), CAUSES["database"], call(5, 2, pid=8), note("refused", 6)]

    assert doubled(*entries) == []


def test_after_a_retry_of_the_job_a_segment_may_be_made_again():
    restart = Entry("restarted", 3, job="job")
    entries = [call(1, 1), note("done", 2), restart, call(5, 1), note("done", 6)]

    assert doubled(*entries) == []
    assert Allowance.of(calls.calls(entries)) == Allowance(1, 1, 0)
    assert len(doubled(*entries, call(7, 2))) == 1


def test_the_retry_of_another_job_is_no_reason():
    restart = Entry("restarted", 3, job="other")

    assert len(doubled(call(1, 1), note("done", 2), restart, call(5, 2))) == 1


def test_more_calls_than_there_were_reasons_are_found():
    entries = [call(1, 1), CAUSES["database"], note("done", 4), call(5, 2), call(6, 3)]

    [violation] = calls.too_many(entries)

    assert (violation.kind, violation.job) == ("doubled", "")
    assert violation.what.startswith("3 inference calls, more than 1: ")


def test_only_calls_that_were_not_accepted_were_cut_off():
    kill = Entry("killed", 3, pid=0, group=70)
    entries = [
        *(call(1, 1, index=0), note("done", 2, index=0)),
        call(1, 1, index=1),
        *(call(1, 1, index=2, group=80), note("done", 4, index=2, group=80)),
        kill,
        call(5, 2, index=1),
    ]

    assert Allowance.of(calls.calls(entries)) == Allowance(3, 0, 1)


def test_a_final_put_twice_for_no_reason_is_doubled():
    puts = [Entry("final", at, 7, 70, "job") for at in (1.0, 2.0)]

    [violation] = calls.doubled_finals(puts)

    assert "the final was made again" in violation.what


@pytest.mark.parametrize("cause", ["killed child", "killed worker", "database"])
def test_a_final_may_be_put_again_after_a_misfortune(cause):
    puts = [Entry("final", at, 7, 70, "job") for at in (1.0, 5.0)]

    assert list(calls.doubled_finals([*puts, CAUSES[cause]])) == []


def test_the_figures_tell_how_long_a_take_over_took():
    entries = [
        call(1, 1, index=0),
        call(1, 1, index=1, pid=8),
        note("done", 1.5, index=0),
        Entry("killed", 2, pid=0, group=70),
        call(9.5, 2, index=1),
        call(10, 1, index=2),
        Entry("concat", 11, detail="chord"),
        Entry("concat", 11, detail="ledger"),
        Entry("concat", 12, detail="ledger"),
    ]

    figures = summary(entries, calls.doubled(entries))

    assert figures["takeover_seconds"] == {"count": 1, "median": 7.5, "worst": 7.5}
    assert (figures["inference_calls"], figures["calls_allowed"]) == (4, 4)
    assert figures["calls_cut_off"] == 1
    assert figures["calls_per_segment"] == pytest.approx(4 / 3, abs=1e-4)
    assert (figures["kills"], figures["doubled"]) == (1, 0)
    assert (figures["concats_by_chord"], figures["concats_by_ledger"]) == (1, 2)
