"""What is read off a film that comes without manifest and picture."""

from __future__ import annotations

import pytest

from apps.pipeline.media.probe import Limits, probe
from contract.errors import ErrorCode, StereoSpotError
from contract.invocation import Invocation
from contract.modes import StereoMode
from contract.pictures import picture_for
from inference.service.plain import conversion_of
from tests.inference.films import VARIABLE, film, manifest, shown

LIMITS = Limits(bytes=10**9, seconds=3600)


def plain(mode: StereoMode = StereoMode.SBS, **fields: object) -> Invocation:
    named = {"input_uri": "file:///in.mp4", "output_uri": "file:///out.mp4"}
    return Invocation.model_validate({**named, "mode": mode, **fields})


@pytest.mark.parametrize(
    ("made", "mode"),
    [
        ({}, StereoMode.SBS),
        ({"size": (65, 49), "pixel_format": "yuv444p"}, StereoMode.TAB),
        ({"pixel_format": "yuv420p10le"}, StereoMode.ANAGLYPH),
        ({"size": (2600, 64)}, StereoMode.SBS),
        ({"size": (2600, 64)}, StereoMode.HALF_SBS),
        ({"size": (64, 720)}, StereoMode.SBS),
        ({"interlaced": True}, StereoMode.SBS),
        (
            {"color_primaries": "9", "colorspace": "9", "color_trc": "16"},
            StereoMode.SBS,
        ),
    ],
    ids=str,
)
def test_the_picture_is_the_one_that_a_job_would_have(tmp_path, made, mode):
    path = film(tmp_path / "film.mp4", tuple(range(0, 6 * 3000, 3000)), **made)

    picture = conversion_of(plain(mode), path).picture

    assert picture == picture_for(probe(path, LIMITS), mode)


@pytest.mark.parametrize("reordered", ["0", "3"])
def test_every_frame_is_converted_at_its_own_time(tmp_path, reordered):
    path = film(tmp_path / "film.mp4", VARIABLE, bf=reordered)

    frames = conversion_of(plain(), path).frames

    assert [pts * frames.seconds_per_tick for pts in frames.pts] == shown(path)


def test_a_film_that_does_not_count_from_0_needs_a_manifest(tmp_path):
    path = film(tmp_path / "film.mkv", tuple(range(90_000, 100_000, 3000)), bf="0")

    with pytest.raises(StereoSpotError) as raised:
        conversion_of(plain(), path)

    assert raised.value.code is ErrorCode.UNREADABLE_SEGMENT
    assert "frames" in raised.value.message


def test_what_is_given_is_not_looked_for(tmp_path):
    path = film(tmp_path / "film.mp4", (0, 3000, 6000))
    picture = conversion_of(plain(), path).picture
    frames = manifest((0, 3000))

    given = conversion_of(plain(frames=frames, picture=picture), tmp_path / "nothing")
    half_given = conversion_of(plain(frames=frames), path)

    assert (given.frames, given.picture) == (frames, picture)
    assert half_given == given
