"""The sample scene in each mode, and flat, as small pictures for pages that explain the modes.

python -m inference.samples FOLDER
"""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path

import av
from torch import Tensor

from contract.modes import FLAT, StereoMode, StereoSettings
from inference.scene import views
from inference.stages.compose import compose

MOMENT = 2.0
"""Seconds into the scene: a ball before the trees, a balloon behind them."""
EYE = (320, 180)
SETTINGS = StereoSettings(max_disparity=5.0)
"""Stronger than films are made, for on a card the shift has to be seen."""
QUALITY = 60
"""Of a WebP, of 100: 3 to 9 kB each."""


def draw(folder: Path) -> None:
    """Write MODE.webp for every mode, and flat.webp."""
    left, right, _ = views(MOMENT, *EYE, SETTINGS)
    (folder / f"{FLAT}.webp").write_bytes(_webp(left[None]))
    for mode in StereoMode:
        picture = compose(left[None], right[None], mode)
        (folder / f"{mode}.webp").write_bytes(_webp(picture))


def _webp(picture: Tensor) -> bytes:
    """Of [1, 3, H, W] in [0, 1]."""
    rgb = (picture[0] * 255).round().byte().permute(1, 2, 0).contiguous().numpy()
    frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
    encoder = av.CodecContext.create("libwebp", "w")
    encoder.width, encoder.height = frame.width, frame.height
    encoder.pix_fmt, encoder.time_base = "yuv420p", Fraction(1, 25)
    encoder.options = {"quality": str(QUALITY), "compression_level": "6"}
    packets = [*encoder.encode(frame), *encoder.encode(None)]
    return b"".join(bytes(packet) for packet in packets)


if __name__ == "__main__":
    draw(Path(sys.argv[1]))
