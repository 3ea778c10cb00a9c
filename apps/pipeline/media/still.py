"""One frame from the beginning of a film, small and as numbers, to make a preview of."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace
from numpy.typing import NDArray

from apps.pipeline.media.probe import clockwise
from apps.pipeline.media.tools import decode, open_media, video_stream
from contract.errors import ErrorCode, StereoSpotError
from contract.modes import Payload

_LOOKED_AT = 240
"""Frames: films begin black, and with titles on black."""
_EVERY = 8
"""Of those, one in so many is looked at closely."""
_LIVELY = 40.0
"""Standard deviation of the luma, of 255, from which a frame is good enough."""
_HD = 720
"""Rows from which an untagged picture is taken as BT.709."""


class Shape(Payload):
    """Of a frame of 8 bits each of red, green and blue, row by row."""

    width: int
    height: int


def write_still(source: Path, target: Path, largest_side: int) -> Shape:
    """Write the first good frame of a file that may end anywhere, upright.

    Its sides are even, the longer one `largest_side` at most. Raises a StereoSpotError
    of the person's where no frame can be had.
    """
    best = max(_looked_at(source), key=lambda pair: pair[0], default=None)
    if best is None:
        raise StereoSpotError(
            ErrorCode.UNSUPPORTED_VIDEO,
            "No frame of this film can be shown before all of it is here. It can be "
            "converted all the same.",
        )
    rgb = _rgb(best[1], largest_side)
    target.write_bytes(rgb.tobytes())
    return Shape(width=rgb.shape[1], height=rgb.shape[0])


def _looked_at(source: Path) -> Iterator[tuple[float, VideoFrame]]:
    """Frames with how much there is to see in them; the first good one is the last."""
    # The file ends anywhere, and what was decoded before that is good.
    with suppress(av.error.FFmpegError, ValueError), open_media(source) as container:
        stream = video_stream(container)
        stream.thread_type = "AUTO"
        frames = decode(stream, container.demux(stream))
        for frame in islice(frames, 0, _LOOKED_AT, _EVERY):
            liveliness = float(frame.reformat(64, 36, "gray").to_ndarray().std())
            yield liveliness, frame
            if liveliness > _LIVELY:
                return


def _rgb(frame: VideoFrame, largest_side: int) -> NDArray[np.uint8]:
    scale = min(1.0, largest_side / max(frame.width, frame.height))
    width, height = (
        max(2, round(side * scale / 2) * 2) for side in (frame.width, frame.height)
    )
    matrix = (
        Colorspace.ITU709
        if frame.colorspace == 1 or (frame.colorspace == 2 and frame.height >= _HD)
        else Colorspace.ITU601
    )
    small = frame.reformat(width, height, "rgb24", src_colorspace=matrix)
    turned = np.rot90(small.to_ndarray(), -clockwise(frame) // 90)
    return np.ascontiguousarray(turned)
