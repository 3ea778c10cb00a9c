"""Which frames make which segment: arithmetic on frame numbers, no files.

A boundary on a shot cut needs no overlap, because depth may jump there anyway; a
boundary inside a shot gets frames of context on both sides, so that a model sees the
same shot from either segment. That context best begins where a decoder can: then nothing
is copied and decoded only to get there.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil

from contract.keys import MAX_SEGMENTS

TARGET_SECONDS = 20.0
"""Long enough to amortise a model's start, short enough for half of a provider's hour."""
OVERLAP = 12
"""Frames of context at a boundary inside a shot; aligning depth needs about ten."""
SLACK = 0.5
"""Share of the target by which a segment may be shorter or longer to end on a cut."""


@dataclass(frozen=True, slots=True)
class Span:
    """A run of frames in display order, and how much context lies around it."""

    first: int
    count: int
    lead: int = 0
    tail: int = 0

    @property
    def listed(self) -> range:
        """Frame numbers of lead, core and tail."""
        return range(self.first - self.lead, self.first + self.count + self.tail)


def plan(
    frame_count: int,
    target_frames: int,
    cuts: Sequence[int] = (),
    overlap: int = OVERLAP,
    entries: Sequence[int] = (),
) -> list[Span]:
    """Divide frames 0 … frame_count − 1 into spans that cover each exactly once.

    `cuts` are numbers of frames that begin a shot, `entries` of frames that a decoder can
    begin at, both in any order. Spans hold between a half and one and a half of the
    target, unless the film is shorter; the target grows where the film would need more
    segments than keys can name.
    """
    if frame_count < 1 or target_frames < 1 or overlap < 0:
        raise ValueError("a plan needs frames, a target and no negative overlap")
    shots = sorted({cut for cut in cuts if 0 < cut < frame_count})
    begun = sorted({entry + overlap for entry in entries})
    # The shortest spans are half the target, so this many always suffice.
    target = max(target_frames, -(-2 * frame_count // MAX_SEGMENTS))
    edges = _edges(frame_count, target, shots, begun)
    clean = {0, frame_count, *shots}

    def context(edge: int) -> int:
        return 0 if edge in clean else overlap

    return [
        Span(
            first,
            end - first,
            lead=min(context(first), first),
            tail=min(context(end), frame_count - end),
        )
        for first, end in pairwise(edges)
    ]


def targets(frame_count: int, target_frames: int) -> list[int]:
    """Boundaries a film without cuts would get: where looking for cuts can pay."""
    return [span.first for span in plan(frame_count, target_frames)][1:]


def _edges(frame_count: int, target: int, *liked: list[int]) -> list[int]:
    """Boundaries, at the best of those liked, rising, that are near: the first list counts
    most."""
    shortest = ceil(target * (1 - SLACK))
    longest = max(1, int(target * (1 + SLACK)))
    edges = [0]
    while frame_count - edges[-1] > longest:
        wanted = edges[-1] + target
        # What is left behind the boundary must not be a splinter.
        last = min(edges[-1] + longest, frame_count - shortest)
        near = (_within(edges[-1] + shortest, last, some) for some in liked)
        nearest = (min(some, key=lambda at: abs(at - wanted)) for some in near if some)
        edges.append(next(nearest, min(wanted, last)))
    edges.append(frame_count)
    return edges


def _within(first: int, last: int, numbers: list[int]) -> list[int]:
    return numbers[bisect_left(numbers, first) : bisect_right(numbers, last)]
