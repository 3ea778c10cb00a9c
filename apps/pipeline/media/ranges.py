"""Which packets make which segment object: arithmetic on an index, no files."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from apps.pipeline.media.index import DISCARD, Index
from apps.pipeline.media.plan import Span
from contract.frames import SegmentFrames


@dataclass(frozen=True, slots=True)
class Range:
    """The packets of one segment object, in decoding order."""

    first: int
    last: int
    """Included."""

    @property
    def numbers(self) -> range:
        return range(self.first, self.last + 1)


def packet_ranges(index: Index, spans: Sequence[Span]) -> list[Range]:
    """From the last clean entry point before a span to the last packet it needs."""
    packets = _packet_of_frame(index)
    ready, entries = _entry_points(index)
    ranges = []
    for span in spans:
        listed = packets[span.listed.start : span.listed.stop]
        # The clean picture of an entry point counts, not its position in the file:
        # frames before it in display order may refer to what lies before it.
        usable = bisect_right(ready, span.listed.start)
        first = entries[usable - 1] if usable else 0
        ranges.append(Range(min(first, int(listed.min())), int(listed.max())))
    return _in_order(ranges)


def extra_bytes(index: Index, ranges: Sequence[Range]) -> float:
    """Share by which segment objects together exceed the source's video stream."""
    total = np.concatenate([[0], np.cumsum(index.size, dtype=np.int64)])
    copied = sum(int(total[part.last + 1] - total[part.first]) for part in ranges)
    return copied / max(1, int(total[-1])) - 1


def segment_frames(index: Index, span: Span) -> SegmentFrames:
    """The manifest of a span."""
    pts = index.frames[span.listed.start : span.listed.stop]
    base = index.time_base
    return SegmentFrames(
        time_base=(base.numerator, base.denominator),
        start=int(pts[0]),
        pts=tuple(int(date) for date in pts - pts[0]),
        lead=span.lead,
        tail=span.tail,
    )


def decoding_times(pts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rising decoding timestamps for distinct display timestamps in decoding order.

    As late as possible: the delay is the deepest reordering that the packets show. A
    larger one would move the start in an mp4, whose edit list begins at the first
    decoding timestamp.
    """
    order = np.sort(pts)
    delay = int((np.arange(len(pts)) - np.searchsorted(order, pts)).max(initial=0))
    if delay == 0:
        return order
    step = max(1, int(np.diff(order).min()))
    before = order[0] - step * np.arange(delay, 0, -1)
    return np.concatenate([before, order[:-delay]])


def _in_order(ranges: list[Range]) -> list[Range]:
    """Ranges that begin and end in the order of their spans, so that one read does.

    Reordering and gradual refresh can make a later span need an earlier packet.
    """
    firsts = list(accumulate((part.first for part in reversed(ranges)), min))
    lasts = accumulate((part.last for part in ranges), max)
    return [Range(*edges) for edges in zip(reversed(firsts), lasts, strict=True)]


def _packet_of_frame(index: Index) -> NDArray[np.intp]:
    """The number of the packet of each displayed frame."""
    shown = np.flatnonzero((index.flags & DISCARD) == 0)
    by_date = shown[np.argsort(index.pts[shown], kind="stable")]
    return by_date[np.searchsorted(index.pts[by_date], index.frames)]


def entry_frames(index: Index) -> list[int]:
    """Numbers of the frames that a decoder can begin at, rising."""
    return _entry_points(index)[0]


def _entry_points(index: Index) -> tuple[list[int], list[int]]:
    """First clean frame of each keyframe packet, rising, and the packet's number."""
    packets = index.keyframes
    ready = np.searchsorted(index.frames, index.pts[packets]) + index.recovery[packets]
    order = np.lexsort((packets, ready))
    return ready[order].tolist(), packets[order].tolist()
