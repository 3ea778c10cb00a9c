"""A final's subtitles over the canvas, once for each picture that a view has."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.finals import completed
from tests.browser.looks import assert_accessible, assert_fits_a_phone
from tests.browser.pictures import opened, seek

PANES = {"side": 2, "cross": 2, "left": 1, "dubois": 1, "wiggle": 1, "tv_above": 2}
WEBVTT = (
    "WEBVTT\n\n00:00:01.000 --> 00:00:02.000\nRain <i>again</i>\n\n"
    "00:00:03.000 --> 00:00:03.500\nLater\n"
)


@pytest.fixture(scope="module")
def film(site, tmp_path_factory) -> str:
    """A film with pictures, which a browser cannot show, in German and words in English."""
    path = completed(site, tmp_path_factory.mktemp("film"))
    site.run(f"""
from django.core.files.base import ContentFile
from apps.jobs import storage
from apps.jobs.models import Job
from contract.keys import SubtitleKey
job = Job.objects.get(pk={path.split("/")[2]!r})
kinds = {{"hdmv_pgs_subtitle": "ger", "subrip": "eng"}}
job.film |= {{"subtitles": [{{"codec": c, "language": l}} for c, l in kinds.items()]}}
job.save()
storage.result().save(str(SubtitleKey(job.pk, 1)), ContentFile({WEBVTT!r}.encode()))
""")
    return path


def test_each_picture_of_a_view_has_the_words_of_the_moment(page, film):
    opened(page, film, "side")
    captions = page.locator(".captions p")
    expect(captions).to_have_text(["", ""])

    page.get_by_label("Subtitles").select_option("English")
    for view, number in PANES.items():
        page.get_by_role("combobox", name="View").select_option(view)
        expect(captions).to_have_text(["Rain again"] * number)
    expect(captions.first.locator("i")).to_have_text("again")
    seek(page, 2.5)
    expect(captions).to_have_text(["", ""])
    seek(page, 3.2)
    expect(captions).to_have_text(["Later", "Later"])
    assert_accessible(page)
    assert_fits_a_phone(page)

    page.get_by_label("Subtitles").select_option("Off")
    expect(captions).to_have_text(["", ""])


@pytest.mark.parametrize("view", ["side", "left", "tv_side", "tv_above"])
def test_the_words_lie_within_their_picture(page, film, view):
    opened(page, film, view)
    page.get_by_label("Subtitles").select_option("English")
    captions = page.locator(".captions p")
    expect(captions.first).to_have_text("Rain again")

    stage = page.locator(".stage").bounding_box()
    across = PANES.get(view, 2) if view in ("side", "tv_side") else 1
    down = 2 if view == "tv_above" else 1
    for number, words in enumerate(captions.all()):
        box = words.bounding_box()
        left = stage["x"] + stage["width"] / across * (number % across)
        top = stage["y"] + stage["height"] / down * (number // across)
        assert left - 1 <= box["x"]
        assert box["x"] + box["width"] <= left + stage["width"] / across + 1
        assert top <= box["y"]
        assert box["y"] + box["height"] <= top + stage["height"] / down + 1


def test_the_plain_player_has_them_too(visit, film):
    page = visit("alice", java_script_enabled=False)

    page.goto(film)

    track = page.locator("video track")
    expect(track).to_have_count(1)
    answer = page.request.get(track.get_attribute("src"))
    assert re.match("text/vtt", answer.headers["content-type"])
    assert answer.text() == WEBVTT
