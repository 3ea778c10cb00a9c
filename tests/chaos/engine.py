"""An engine that costs nothing: each segment is one grey, which tells whose it is."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np

from contract.errors import ErrorCode, StereoSpotError
from contract.invocation import Completed, Conversion
from tests.chaos.films import shade
from tests.chaos.journal import Journal
from tests.chaos.notes import this_segment
from tests.chaos.orders import Orders
from tests.chaos.points import reached

FRAME_SECONDS = 0.02
"""For each frame, so that a kill finds work to interrupt."""
SLOW_SECONDS = 10
"""Of a conversion that is ordered to be slow: longer than lease and visibility."""


class Engine:
    """Stands in for `apps.pipeline.backends.local._convert`."""

    def __init__(self, journal: Journal, orders: Orders) -> None:
        self._journal = journal
        self._orders = orders

    def __call__(
        self,
        conversion: Conversion,
        source: Path,
        target: Path,
        on_frames: Callable[[int], None],
    ) -> Completed:
        segment = this_segment()
        self._journal.write("called", **segment)
        self._obey(on_frames)
        _encode(conversion, target, shade(segment["job"], segment["index"]))
        frames = len(conversion.frames.core)
        for number in range(frames):
            time.sleep(FRAME_SECONDS)
            on_frames(1)
            if number == frames // 2:
                reached("during-infer")
        return Completed(
            frames=frames, seconds=0.1, engine=conversion.engine, version="grey-1"
        )

    def _obey(self, on_frames: Callable[[int], None]) -> None:
        order = self._orders.take("engine")
        if order == "fail":
            self._journal.write("told to fail", **this_segment())
            raise StereoSpotError(ErrorCode.INTERNAL, "It was told to fail.")
        if order == "slow":
            for _ in range(SLOW_SECONDS * 10):
                time.sleep(0.1)
                on_frames(0)


def _encode(conversion: Conversion, target: Path, luma: int) -> None:
    picture, frames = conversion.picture, conversion.frames
    width, height = conversion.mode.packed_size(picture.eye_width, picture.eye_height)
    planes = np.full((height * 3 // 2, width), 128, np.uint8)
    planes[:height] = luma
    with av.open(str(target), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"preset": "ultrafast", "threads": "1"}
        stream.gop_size = picture.gop
        tick = frames.seconds_per_tick
        stream.time_base = stream.codec_context.time_base = tick
        for pts in frames.core:
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            frame.pts, frame.time_base = pts, tick
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
