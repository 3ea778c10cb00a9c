"""Colour through the whole way: what a player shows of the left eye is the source."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from apps.pipeline.media.prepare import Wishes, prepare, split_prepared
from apps.pipeline.media.probe import Limits, probe
from apps.pipeline.media.verify import verify_segment
from contract.invocation import Conversion
from contract.modes import StereoMode
from contract.pictures import picture_for
from inference.convert import convert
from inference.engines import pipeline_for
from tests.media.sources import film

SOURCES = {
    "limited range": {"pix_fmt": "yuv420p", "color_range": "tv", "colorspace": "bt709"},
    "full range": {"pix_fmt": "yuvj420p", "color_range": "pc", "colorspace": "bt709"},
    "RGB": {"c:v": "libx264rgb", "preset": "ultrafast", "qp": 0, "pix_fmt": "rgb24"},
}
WAYS = {"copied": Wishes(most_extra=9), "mezzanine": Wishes(most_extra=-1)}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("kind", "size"),
    [
        ("limited range", (256, 144)),
        ("full range", (256, 144)),
        ("RGB", (256, 144)),
        ("RGB", (255, 143)),
    ],
)
def test_the_left_eye_has_the_colours_of_the_source(tmp_path, kind, way, size):
    source = film(tmp_path / "film.mkv", size=size, count=12, **SOURCES[kind])
    facts = probe(source, Limits())
    picture = picture_for(facts, StereoMode.SBS)
    prepared = prepare(source, facts, tmp_path, WAYS[way])
    [(_, segment, frames)] = split_prepared(prepared, tmp_path)
    conversion = Conversion(mode=StereoMode.SBS, frames=frames, picture=picture)
    stereo = tmp_path / "stereo.mp4"

    convert(
        conversion,
        segment,
        stereo,
        pipeline=pipeline_for(conversion.engine),
        on_frames=lambda n: None,
    )

    verify_segment(stereo, frames, picture, StereoMode.SBS)
    assert tags(stereo) in ((1, 1, 1), (1, 13, 6)), "4:2:0 has no RGB"
    shown, meant = last_picture(stereo), last_picture(source)
    height, width = meant.shape[:2]
    difference = shown[:height, :width].astype(int) - meant
    assert abs(difference.mean()) < 2
    assert np.abs(difference).mean() < 6


def tags(path: Path) -> tuple[int, int, int]:
    """Primaries, transfer, matrix."""
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        parts = (context.color_primaries, context.color_trc, context.colorspace)
        primaries, transfer, matrix = map(int, parts)
    return primaries, transfer, matrix


def last_picture(path: Path) -> np.ndarray:
    """The last frame as a player shows it: by its tags, in RGB."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        *_, frame = container.decode(stream)
        return frame.to_ndarray(format="rgb24")
