"""What an engine's card promises is what was measured, or says that it was not."""

from __future__ import annotations

import pytest
from django.utils.timezone import now

from apps.jobs.models import Segment
from apps.jobs.speeds import LEAST_MEASURED, speeds
from contract.modes import Engine


@pytest.fixture
def measured(job) -> None:
    """Segments of 64 × 36 pixels × 25 frames, 9 s each but for one."""
    Segment.objects.all().delete()
    Segment.objects.bulk_create(
        Segment(
            job=job,
            index=index,
            frames={},
            frame_count=25,
            status="done",
            seconds=900 if index == 0 else 9,
            finished_at=now(),
        )
        for index in range(LEAST_MEASURED)
    )


def test_it_is_the_median_of_what_was_done_here(measured):
    speed = speeds()[Engine.PREVIEW]

    pixels_a_second = 64 * 36 * 25 / 9
    assert speed.is_measured
    assert speed.seconds == pytest.approx(1920 * 1080 * 24 * 60 / pixels_a_second)


def test_one_engine_says_nothing_of_another(measured):
    speed = speeds()[Engine.STEREOCRAFTER]

    assert not speed.is_measured
    assert speed.seconds > speeds()[Engine.FAST].seconds


def test_a_few_segments_are_no_measurement(measured):
    Segment.objects.filter(index=1).delete()

    assert not speeds()[Engine.PREVIEW].is_measured


@pytest.mark.parametrize("has_card", [False, True])
def test_the_page_says_so(client, alice, measured, monkeypatch, settings, has_card):
    settings.CONVERTS_HERE = True
    monkeypatch.setattr("apps.jobs.templatetags.previews.has_card", lambda: has_card)
    client.force_login(alice)

    page = client.get("/jobs/new/").text

    assert page.count("measured here lately") == 1
    assert page.count("by our estimate") == 2
    assert ("no graphics card" in page) is not has_card
