"""What the page tells its player of a film."""

from __future__ import annotations

import pytest

from apps.jobs.models import Job
from apps.jobs.views.viewing import Viewing


def film(**picture: object) -> Job:
    facts = {"eye_width": 720, "eye_height": 576} | picture
    return Job(mode="half_sbs", picture=facts, source_extension="vob")


def test_an_eye_is_as_wide_as_its_pixels_make_it():
    viewing = Viewing.of(film(sample_aspect_ratio=(64, 45)))

    assert (viewing.width, viewing.height) == (1024, 576)


@pytest.mark.parametrize(
    ("curve", "is_hdr"), [(1, False), (2, False), (16, True), (18, True)]
)
def test_hdr_is_known_by_its_curve(curve, is_hdr):
    assert Viewing.of(film(color_trc=curve)).is_hdr is is_hdr


def test_who_cannot_play_it_is_told_what_it_is():
    job = film(codec="hevc", pixel_format="yuv420p10le")
    job.final_extension = "mkv"
    job.film = {"codec": "mpeg2video"}

    viewing = Viewing.of(job)

    assert viewing.film == "hevc in mkv"
    assert viewing.source == "mpeg2video in vob"
    assert viewing.is_deep
