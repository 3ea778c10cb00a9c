"""From a source to something that can be split: index, cuts, plan, at need a mezzanine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from apps.pipeline.media.cuts import find_cuts
from apps.pipeline.media.film import Film
from apps.pipeline.media.index import Index, build_index
from apps.pipeline.media.mezzanine import make_mezzanine
from apps.pipeline.media.plan import OVERLAP, TARGET_SECONDS, Span, plan, targets
from apps.pipeline.media.ranges import entry_frames, extra_bytes, packet_ranges
from apps.pipeline.media.split import object_format, split
from contract.frames import SegmentFrames

_REACH = 0.25
"""Share of the target to look for cuts on either side of a boundary: half the film is
decoded, and most shots are shorter than that half."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """How to cut: how long segments should be, and what they may cost."""

    target_seconds: float = TARGET_SECONDS
    overlap: int = OVERLAP
    """Frames on each side of a boundary that is not on a cut."""
    look_for_cuts: bool = True
    """Which is to decode half the film; boundaries elsewhere have an overlap."""
    most_extra: float = 1.0
    """Bytes that segment objects may take beyond the source's own, as a share of these;
    over it, a mezzanine is cheaper to store and to decode."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """What `split_prepared` takes; small, so that it can cross to another process."""

    path: Path
    """The source, or a mezzanine in its stead."""
    index_path: Path
    spans: list[Span]


def prepare(source: Path, film: Film, directory: Path, wishes: Wishes) -> Prepared:
    """Index and plan a source; files that this takes go into `directory`.

    Raises StereoSpotError.
    """

    def spans_of(path: Path, index: Index) -> list[Span]:
        return _spans(path, film, index, wishes)

    return prepare_spans(source, film, directory, spans_of, wishes.most_extra)


def prepare_spans(
    source: Path,
    film: Film,
    directory: Path,
    spans_of: Callable[[Path, Index], list[Span]],
    most_extra: float,
) -> Prepared:
    """`prepare` for spans that are asked for once the index is there."""
    index = build_index(source)
    if index.fault is None and object_format(source) is not None:
        spans = spans_of(source, index)
        if extra_bytes(index, packet_ranges(index, spans)) <= most_extra:
            return _prepared(source, index, spans, directory)
    mezzanine = make_mezzanine(source, film, directory)
    index = build_index(mezzanine)
    return _prepared(mezzanine, index, spans_of(mezzanine, index), directory)


def split_prepared(
    prepared: Prepared, directory: Path
) -> Iterator[tuple[int, Path, SegmentFrames]]:
    """`split` of what was prepared."""
    index = Index.load(prepared.index_path)
    yield from split(prepared.path, index, prepared.spans, directory)


def _prepared(path: Path, index: Index, spans: list[Span], directory: Path) -> Prepared:
    index_path = directory / "index.npz"
    index.save(index_path)
    return Prepared(path, index_path, spans)


def _spans(path: Path, film: Film, index: Index, wishes: Wishes) -> list[Span]:
    target = max(1, round(wishes.target_seconds * film.frames_per_second))
    cuts = []
    if wishes.look_for_cuts:
        around = targets(index.frame_count, target)
        cuts = find_cuts(path, index, around, int(target * _REACH))
    entries = entry_frames(index)
    return plan(index.frame_count, target, cuts, wishes.overlap, entries)
