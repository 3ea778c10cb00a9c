"""A film's beginning is enough to show one of its frames, wherever it ends."""

from __future__ import annotations

import ffmpeg
import numpy as np
import pytest

from apps.pipeline.media.sandbox import Allowance, Sandbox
from apps.pipeline.media.still import Shape, write_still
from contract.errors import ErrorCode, StereoSpotError
from tests.media import sources

SANDBOX = Sandbox(Allowance(memory=4 << 30, seconds=60))


def make(path, picture: str, **options: str):
    source = ffmpeg.input(picture, f="lavfi")
    sources.run(ffmpeg.output(source, str(path), **options))
    return path


def still(source, folder, side: int = 960) -> np.ndarray:
    target = folder / "frame"
    shape = SANDBOX.call(write_still, source, target, side)
    return np.frombuffer(target.read_bytes(), np.uint8).reshape(
        shape.height, shape.width, 3
    )


def test_what_is_black_at_the_beginning_is_passed_over(tmp_path):
    path = tmp_path / "film.mkv"
    shown = "testsrc2=s=256x144:r=25:d=3,fade=in:st=1:d=1:color=black"
    make(path, shown, vcodec="libx264")

    assert still(path, tmp_path).std() > 40


def test_a_film_that_stays_dark_shows_its_best_frame(tmp_path):
    path = make(tmp_path / "film.mkv", "color=0x181818:s=64x48:d=1", vcodec="ffv1")

    assert still(path, tmp_path).shape == (48, 64, 3)


@pytest.mark.parametrize("ending", ["mkv", "ts", "avi"])
def test_a_part_of_a_file_is_enough(tmp_path, ending):
    whole = make(
        tmp_path / f"whole.{ending}", "testsrc2=s=640x360:r=25:d=4", vcodec="libx264"
    )
    part = tmp_path / "part"
    part.write_bytes(whole.read_bytes()[: whole.stat().st_size // 3])

    assert still(part, tmp_path).std() > 40


def test_sides_are_even_and_no_longer_than_wanted(tmp_path):
    path = make(tmp_path / "film.mkv", "testsrc2=s=1278x722:d=1", vcodec="ffv1")

    shape = SANDBOX.call(write_still, path, tmp_path / "frame", 300)

    assert shape == Shape(width=300, height=170)


def test_a_film_on_its_side_is_shown_upright(tmp_path):
    path = sources.RECIPES["a phone held upright"](tmp_path)

    height, width, _ = still(path, tmp_path).shape

    assert height > width


@pytest.mark.parametrize(
    "content", [b"", b"no film at all" * 1000, b"#EXTM3U\n/etc/passwd"]
)
def test_what_shows_no_frame_is_said_so(tmp_path, content):
    path = tmp_path / "film"
    path.write_bytes(content)

    with pytest.raises(StereoSpotError) as refused:
        still(path, tmp_path)

    assert refused.value.code is ErrorCode.UNSUPPORTED_VIDEO
    assert "No frame of this film can be shown" in refused.value.message
