"""How a file says that its picture holds two eyes.

Matroska says it in StereoMode, which libavformat writes from a tag; mp4 in `st3d` (and
Apple's `vexu`), which it writes only from side data of the stream. A Matroska file that
exists in memory for a moment turns the one into the other.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
from av.video.stream import VideoStream

from apps.pipeline.media.tools import open_media, video_stream
from contract.modes import StereoMode

TAG: Final = "stereo_mode"
"""Key of libavformat's stream tag, which it also reads back."""
LAYOUTS: Final = {
    StereoMode.SBS: "left_right",
    StereoMode.HALF_SBS: "left_right",
    StereoMode.TAB: "top_bottom",
    StereoMode.HALF_TAB: "top_bottom",
    StereoMode.ANAGLYPH: "anaglyph_cyan_red",
}
"""Values of the tag. The left eye is on the left, above, and behind the red glass."""


@contextmanager
def stereo_template(segment: Path, mode: StereoMode) -> Iterator[VideoStream]:
    """A video stream to copy into an mp4, with the mode's side data on it.

    An anaglyph has none: `st3d` knows no colours, and two eyes in one picture need no
    unpacking.
    """
    with open_media(segment) as container:
        stream = video_stream(container)
        if mode is StereoMode.ANAGLYPH:
            yield stream
            return
        carrier = io.BytesIO()
        with av.open(carrier, "w", format="matroska") as output:
            copy = output.add_stream_from_template(stream, opaque=True)
            copy.metadata[TAG] = LAYOUTS[mode]
            packet = next(container.demux(stream))
            packet.stream = copy
            output.mux(packet)
        carrier.seek(0)
        with av.open(carrier, "r", format="matroska") as carried:
            yield carried.streams.video[0]


def matroska_aspect(mode: StereoMode, pixel: Fraction) -> Fraction:
    """Aspect ratio of a packed pixel from that of a pixel of one full eye.

    Matroska's display size is that of one eye, and libavformat divides the packed
    picture's by the number of eyes; in the half modes each eye is squeezed already.
    """
    if mode is StereoMode.HALF_SBS:
        return pixel * 2
    if mode is StereoMode.HALF_TAB:
        return pixel / 2
    return pixel
