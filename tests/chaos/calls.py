"""Which calls of the engine had a reason: all but the first of a segment need one."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from tests.chaos.journal import Entry
from tests.chaos.violations import Violation

DRAINED = "DrainedError"
"""How an attempt gives up whose worker has to stop; its segment was put back."""
ENDS = ("done", "refused", "gave up")


@dataclass(slots=True)
class Call:
    """One call of the engine, and what became of it."""

    entry: Entry
    restarts: int
    """How often its job had been told to begin again (*Retry*, recut) before."""
    is_done: bool = False
    """The ledger accepted its answer."""
    cut_at: float | None = None
    """When it was killed, told to fail or put back, or the database went away; only what
    happened before it had answered."""
    ended_at: float | None = None


@dataclass(frozen=True, slots=True)
class Allowance:
    """How many calls there may be."""

    segments: int
    """That were called at all."""
    retries: int
    """Segments that were called again after their job was told to begin again."""
    cut_off: int
    """Calls that a kill, an outage or an injected failure kept from being accepted."""

    @property
    def total(self) -> int:
        return self.segments + self.retries + self.cut_off

    @classmethod
    def of(cls, made: Sequence[Call]) -> Allowance:
        turns = {(call.entry.job, call.entry.index, call.restarts) for call in made}
        segments = {turn[:2] for turn in turns}
        cut_off = sum(call.cut_at is not None and not call.is_done for call in made)
        return cls(len(segments), len(turns) - len(segments), cut_off)


def calls(entries: Iterable[Entry]) -> list[Call]:
    """In their order."""
    made: list[Call] = []
    running: dict[tuple[object, ...], Call] = {}
    restarts: Counter[str] = Counter()
    for entry in sorted(entries, key=lambda entry: entry.at):
        if entry.what == "called":
            call = running[_attempt(entry)] = Call(entry, restarts[entry.job])
            made.append(call)
        elif entry.what == "restarted":
            restarts[entry.job] += 1
        elif entry.what in ENDS:
            if ended := running.pop(_attempt(entry), None):
                _end(ended, entry)
        else:
            for call in running.values():
                if call.cut_at is None and _cuts(entry, call.entry):
                    call.cut_at = entry.at
    return made


def _attempt(entry: Entry) -> tuple[object, ...]:
    return entry.group, entry.pid, entry.job, entry.index, entry.attempt


def _end(call: Call, end: Entry) -> None:
    call.ended_at = end.at
    call.is_done = end.what == "done"
    if end.what == "gave up" and end.detail == DRAINED and call.cut_at is None:
        call.cut_at = end.at


def _cuts(cause: Entry, call: Entry) -> bool:
    """Whether it may have kept a call that was running from being accepted."""
    if cause.what == "told to fail":
        return _attempt(cause) == _attempt(call)
    return cause.what == "database" or is_hit(call, cause)


def is_hit(entry: Entry, kill: Entry) -> bool:
    """Whether the process that wrote the entry is among those that were killed."""
    if kill.what != "killed" or kill.group != entry.group:
        return False
    return kill.pid in (0, entry.pid)


def doubled(entries: Sequence[Entry]) -> Iterator[Violation]:
    """Segments that were done, or about to be, and were given to the engine again."""
    turns: dict[tuple[str, int, int], list[Call]] = defaultdict(list)
    for call in calls(entries):
        turns[call.entry.job, call.entry.index, call.restarts].append(call)
    for (job, index, _), made in turns.items():
        for first, second in pairwise(made):
            if why := _wrong(first, second):
                seconds = second.entry.at - first.entry.at
                what = f"segment {index} was made again after {seconds:.1f} s {why}"
                yield Violation("doubled", job, what)


def _wrong(first: Call, second: Call) -> str:
    """What is wrong with a second call; empty if it had a reason."""
    if first.is_done:
        return "although it was done"
    if first.cut_at is None or first.cut_at > second.entry.at:
        return "for no reason"
    return ""


def too_many(entries: Sequence[Entry]) -> Iterator[Violation]:
    """More calls in all than segments, retries and what was cut off account for."""
    made = calls(entries)
    allowed = Allowance.of(made)
    if len(made) > allowed.total:
        what = f"{len(made)} inference calls, more than {allowed.total}: {allowed}"
        yield Violation("doubled", "", what)


def doubled_finals(entries: Sequence[Entry]) -> Iterator[Violation]:
    """Finals that were put again although nothing had happened to the first."""
    happened = [entry for entry in entries if entry.what in ("killed", "database")]
    finals: dict[str, list[Entry]] = defaultdict(list)
    for entry in sorted(entries, key=lambda entry: entry.at):
        if entry.what == "final":
            finals[entry.job].append(entry)
    for job, puts in finals.items():
        for first, second in pairwise(puts):
            if not any(
                first.at <= cause.at <= second.at
                and (cause.what == "database" or is_hit(first, cause))
                for cause in happened
            ):
                seconds = second.at - first.at
                what = f"the final was made again after {seconds:.1f} s for no reason"
                yield Violation("doubled", job, what)
