"""A run in numbers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from statistics import median
from typing import Any

from tests.chaos.invariants import Violation
from tests.chaos.journal import Entry


def summary(
    entries: Sequence[Entry], violations: Iterable[Violation]
) -> dict[str, Any]:
    """What the journal and the checks say; seconds are seconds."""
    kinds = [violation.kind for violation in violations]
    calls = [entry for entry in entries if entry.what == "called"]
    segments = {(call.job, call.index) for call in calls}
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
        "inference_calls": len(calls),
        "calls_per_segment": round(len(calls) / max(1, len(segments)), 4),
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
        elif entry.what in ("answered", "gave up"):
            running.pop(attempt, None)
        elif entry.what == "killed":
            for hit, call in list(running.items()):
                if entry.group == call.group and entry.pid in (0, call.pid):
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
