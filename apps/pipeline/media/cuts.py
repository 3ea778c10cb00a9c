"""Where shots begin, looked for only near the boundaries that a plan would like.

Decoding is the one slow step of chunking, so only windows around the wished-for
boundaries are decoded, to thumbnails in which camera and actors move little but a cut
changes everything.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

import av
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from apps.pipeline.media.index import Index
from apps.pipeline.media.tools import decode, open_media, video_stream
from contract.errors import ErrorCode, StereoSpotError

Thumbnail = NDArray[np.int16]

_WIDTH, _HEIGHT = 48, 27
"""Of a thumbnail; the size that shot detectors such as TransNetV2 look at, too."""
_LEAST_CHANGE: Final = 6.0
"""Grey levels of 255 by which a cut changes the mean pixel at least."""
_OVER_USUAL: Final = 3.0
"""Times the usual change nearby: fast motion is no cut."""
_NEARBY: Final = 8
"""Frames on either side that tell what is usual."""


def find_cuts(path: Path, index: Index, around: Sequence[int], reach: int) -> list[int]:
    """Numbers of frames that begin a shot, within `reach` frames of those in `around`.

    Raises StereoSpotError if the film cannot be decoded.
    """
    cuts: set[int] = set()
    try:
        with open_media(path) as container:
            video_stream(container).thread_type = "AUTO"
            for first, last in _windows(around, reach, index.frame_count):
                numbers, thumbnails = _thumbnails(container, index, first, last)
                cuts.update(numbers[at] for at in shot_starts(thumbnails))
    except av.error.FFmpegError as error:
        raise StereoSpotError(
            ErrorCode.UNSUPPORTED_VIDEO,
            "Part of this film cannot be decoded: export it again and upload that.",
        ) from error
    return sorted(cuts)


def shot_starts(thumbnails: Sequence[Thumbnail]) -> list[int]:
    """Positions in a run of thumbnails at which another shot begins."""
    if len(thumbnails) < 3:
        return []
    changes = np.array([_change(*pair) for pair in pairwise(thumbnails)])
    return [
        at + 1
        for at, change in enumerate(changes)
        if change > _LEAST_CHANGE
        and change > _OVER_USUAL * _usual(changes, at)
        and not _is_flash(thumbnails, at + 1, change)
    ]


def _change(before: Thumbnail, after: Thumbnail) -> float:
    return float(np.abs(after - before).mean())


def _usual(changes: NDArray[np.float64], at: int) -> float:
    near = np.concatenate(
        [changes[max(0, at - _NEARBY) : at], changes[at + 1 : at + 1 + _NEARBY]]
    )
    return float(np.median(near))


def _is_flash(thumbnails: Sequence[Thumbnail], at: int, change: float) -> bool:
    """Whether the change is undone at once, or undoes one: lightning, a muzzle."""
    back = at + 1 < len(thumbnails) and (
        _change(thumbnails[at - 1], thumbnails[at + 1]) < change / 2
    )
    again = at >= 2 and _change(thumbnails[at - 2], thumbnails[at]) < change / 2
    return back or again


def _windows(
    around: Sequence[int], reach: int, frame_count: int
) -> Iterator[tuple[int, int]]:
    """First and last frames of windows that do not overlap, with room for `usual`."""
    margin = reach + _NEARBY
    pending: tuple[int, int] | None = None
    for target in sorted(around):
        first, last = max(0, target - margin), min(frame_count - 1, target + margin)
        if pending is not None and first <= pending[1]:
            pending = pending[0], last
            continue
        if pending is not None:
            yield pending
        pending = first, last
    if pending is not None:
        yield pending


def _thumbnails(
    container: InputContainer, index: Index, first: int, last: int
) -> tuple[list[int], list[Thumbnail]]:
    """Numbers and thumbnails of a run of frames without a gap."""
    stream = video_stream(container)
    container.seek(int(index.frames[first]), stream=stream)
    numbers: list[int] = []
    thumbnails: list[Thumbnail] = []
    for frame in decode(stream, container.demux(stream)):
        if frame.pts is None:
            continue
        number = int(np.searchsorted(index.frames, frame.pts))
        if number > last:
            break
        if number < first or index.frames[number] != frame.pts:
            continue
        if numbers and number != numbers[-1] + 1:
            # Seeking in a transport stream can land inside a group of pictures;
            # a gap would look like a cut.
            numbers, thumbnails = [], []
        numbers.append(number)
        thumbnails.append(_thumbnail(frame))
    return numbers, thumbnails


def _thumbnail(frame: VideoFrame) -> Thumbnail:
    small = frame.reformat(_WIDTH, _HEIGHT, "gray", interpolation="AREA")
    return small.to_ndarray().astype(np.int16)
