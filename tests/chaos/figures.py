"""A run in numbers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from statistics import median
from typing import Any

from tests.chaos.calls import ENDS, Allowance, calls, is_hit
from tests.chaos.journal import Entry
from tests.chaos.mechanisms import concats_by_chord
from tests.chaos.violations import Violation


def summary(
    entries: Sequence[Entry], violations: Iterable[Violation]
) -> dict[str, Any]:
    """What the journal and the checks say; seconds are seconds."""
    kinds = [violation.kind for violation in violations]
    made = calls(entries)
    allowed = Allowance.of(made)
    concats = sum(entry.what == "concat" for entry in entries)
    by_chord = concats_by_chord(entries)
    waits = sorted(takeovers(entries))
    return {
        "kills": sum(entry.what == "killed" for entry in entries),
        "lost": kinds.count("lost"),
        "doubled": kinds.count("doubled"),
        "stuck": kinds.count("stuck"),
        "orphans": kinds.count("orphan"),
        "other_violations": sum(
            kind in ("message", "ledger", "worker") for kind in kinds
        ),
        "inference_calls": len(made),
        "calls_allowed": allowed.total,
        "calls_of_segments": allowed.segments,
        "calls_of_retries": allowed.retries,
        "calls_cut_off": allowed.cut_off,
        "calls_per_segment": round(len(made) / max(1, allowed.segments), 4),
        "concats_by_chord": by_chord,
        "concats_by_ledger": concats - by_chord,
        "takeover_seconds": {
            "count": len(waits),
            "median": round(median(waits), 1) if waits else None,
            "worst": round(waits[-1], 1) if waits else None,
        },
    }


def takeovers(entries: Iterable[Entry]) -> Iterator[float]:
    """Seconds from a kill during a conversion to the next start of that segment."""
    running: dict[tuple[str, int, int], Entry] = {}
    lost: dict[tuple[str, int], float] = {}
    for entry in sorted(entries, key=lambda entry: entry.at):
        attempt = (entry.job, entry.index, entry.attempt)
        if entry.what == "called":
            if (since := lost.pop(attempt[:2], None)) is not None:
                yield entry.at - since
            running[attempt] = entry
        elif entry.what in ENDS:
            running.pop(attempt, None)
        elif entry.what == "killed":
            for hit, call in list(running.items()):
                if is_hit(call, entry):
                    del running[hit]
                    lost[hit[:2]] = entry.at


def by_job(violations: Iterable[Violation]) -> str:
    """For people: what was found about each job."""
    found: dict[str, list[Violation]] = defaultdict(list)
    for violation in violations:
        found[violation.job].append(violation)
    return "\n".join(
        f"{job or 'the system'}\n"
        + "\n".join(f"  {violation.kind}: {violation.what}" for violation in about)
        for job, about in found.items()
    )
