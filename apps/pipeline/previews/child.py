"""The process that makes previews: it sees numbers only, no file and no database.

torch is loaded here and not in the site's own process, whose pages would carry it.
"""

from __future__ import annotations

import os
import resource
import signal
from collections import OrderedDict
from fractions import Fraction
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from apps.pipeline.previews.questions import Pixels, Question
from contract.errors import StereoSpotError
from contract.modes import Engine

if TYPE_CHECKING:
    from torch import Tensor

    from inference.still import Still

IDLE = 120.0
"""Seconds without a question after which the process ends, and its frames with it."""
KEPT = 6
"""Frames whose depth is kept for the next question: a few people's, or moments."""
MEMORY = 8 << 30
"""Bytes of address space, most of which torch maps and never uses."""
QUALITY = 3
"""Of a JPEG, 2 is the best; at 3 nobody sees a difference."""


def serve(pipe: Connection[Any, Any], idle: float) -> None:
    """Answer until nobody asks for `idle` seconds, or whoever started this is gone."""
    # Ctrl-C is meant for the site; and pages go before previews.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(5)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    studio = _Studio()
    try:
        while pipe.poll(idle):
            pipe.send(_answer(studio, pipe.recv()))
    except (EOFError, BrokenPipeError):
        return


def _answer(studio: _Studio, question: Question) -> bytes | StereoSpotError | None:
    try:
        return studio.picture(question)
    except StereoSpotError as error:
        return error


class _Studio:
    """The engine, and the frames that it has looked at."""

    def __init__(self) -> None:
        from inference.engines import pipeline_for
        from inference.process import settle

        settle()
        self._pipeline = pipeline_for(Engine.PREVIEW)
        self._stills: OrderedDict[str, Still] = OrderedDict()

    def picture(self, question: Question) -> bytes | None:
        from inference.memory import enough_for

        with enough_for("This frame takes more memory than previews may have."):
            still = self._still(question.name, question.pixels)
            if still is None:
                return None
            return _jpeg(still.stereo(question.mode, question.settings))

    def _still(self, name: str, pixels: Pixels | None) -> Still | None:
        import numpy as np

        from inference.still import Still, planes_of

        if name not in self._stills:
            if pixels is None:
                return None
            pixels.check()
            rgb = np.frombuffer(pixels.rgb, np.uint8)
            planes = planes_of(rgb.reshape(pixels.height, pixels.width, 3))
            self._stills[name] = Still.of(planes, self._pipeline)
            if len(self._stills) > KEPT:
                self._stills.popitem(last=False)
        self._stills.move_to_end(name)
        return self._stills[name]


def _jpeg(picture: Tensor) -> bytes:
    """Of [1, 3, H, W] in [0, 1], with all of its colours: anaglyphs live by them."""
    import av
    import numpy as np

    rgb = (picture[0] * 255).round().clamp(0, 255).byte().permute(1, 2, 0).numpy()
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
    encoder = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height = frame.width, frame.height
    encoder.pix_fmt, encoder.time_base = "yuvj444p", Fraction(1, 25)
    encoder.options = {"qmin": str(QUALITY), "qmax": str(QUALITY)}
    packets = [*encoder.encode(frame), *encoder.encode(None)]
    return b"".join(bytes(packet) for packet in packets)
