"""What others make up for when it breaks, so that nobody would miss it.

Without chords the ledger sends each concat, and without extensions the ledger refuses
whoever is given a message a second time: all films would come out nevertheless.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from tests.chaos.calls import calls
from tests.chaos.journal import Entry
from tests.chaos.violations import Violation

CHORD = "chord"
"""Who sent a concat, when it was the callback of a chord."""
LEDGER = "ledger"
"""When it was whoever finished the last segment, or the sweep."""
ENOUGH = 3
"""Completed films, of which one at least had a chord that rang."""


def concats_by_chord(entries: Iterable[Entry]) -> int:
    return sum(entry.what == "concat" and entry.detail == CHORD for entry in entries)


def silent_chords(entries: Sequence[Entry], completed: int) -> Iterator[Violation]:
    """`completed`: films."""
    if completed >= ENOUGH and not concats_by_chord(entries):
        yield Violation("worker", "", f"no chord ever rang for {completed} films")


def missing_extensions(
    entries: Sequence[Entry], extensions: int, visibility: float
) -> Iterator[Violation]:
    """`extensions`: calls that extended the `visibility` (seconds) of messages."""
    longest = max(
        (
            call.ended_at - call.entry.at
            for call in calls(entries)
            if call.ended_at is not None
        ),
        default=0.0,
    )
    if longest > visibility and not extensions:
        what = f"no visibility was extended, but an inference took {longest:.1f} s"
        yield Violation("worker", "", what)
