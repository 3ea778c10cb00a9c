"""How long it will take: as a range, by what the same engine lately took, never later."""

from __future__ import annotations

import time
from datetime import timedelta
from functools import partial

import pytest
from django.contrib.auth.models import User
from django.utils.timezone import now

from apps.jobs import estimates, ledger
from apps.jobs.estimates import Range
from apps.jobs.models import Invocation, Job, Segment
from apps.jobs.templatetags.words import between
from contract.frames import Picture

SMALL = Picture(eye_width=1000, eye_height=1000)
LARGE = Picture(eye_width=4000, eye_height=2000)


def film(owner: User, picture: Picture, seconds: list[float], **changes: object) -> Job:
    """One that was converted: a segment of ten frames for each time."""
    job = Job.objects.create(
        owner=owner,
        title="Done",
        mode="sbs",
        status="completed",
        total_segments=len(seconds),
        picture=picture.model_dump(mode="json"),
        finished_at=now(),
        **changes,
    )
    Segment.objects.bulk_create(
        Segment(
            job=job,
            index=index,
            frames={},
            frame_count=10,
            status="done",
            seconds=took,
            finished_at=now() - timedelta(seconds=index),
        )
        for index, took in enumerate(seconds)
    )
    return job


def test_nothing_is_said_before_the_engine_was_used_here(alice):
    film(alice, SMALL, [10] * 9, engine="fast")

    assert estimates.before("preview", SMALL, 100, workers=1) is None


def test_fewer_than_five_segments_are_no_measurement(alice):
    film(alice, SMALL, [10] * 4)
    assert estimates.before("preview", SMALL, 10, workers=1) is None

    film(alice, LARGE, [40])  # the fifth, and the only one of its size
    assert estimates.before("preview", SMALL, 10, workers=1) == Range(10, 10)
    assert estimates.before("preview", LARGE, 10, workers=1).low == pytest.approx(80)


def test_a_film_that_is_not_begun_is_measured_by_others_of_its_engine(alice):
    film(alice, SMALL, [8, 9, 10, 11, 12])
    film(alice, SMALL, [500] * 5, engine="fast")

    said = estimates.before("preview", SMALL, 100, workers=1)

    assert said == Range(pytest.approx(90), pytest.approx(110))
    assert estimates.before("preview", SMALL, 100, workers=2) == said.times(0.5)


def test_one_that_was_slow_for_a_reason_of_its_own_changes_nothing(alice):
    film(alice, SMALL, [10, 10, 10, 10, 10, 900])

    said = estimates.before("preview", SMALL, 10, workers=1)

    assert said == Range(pytest.approx(10), pytest.approx(10))


def test_the_same_size_counts_where_there_is_enough_of_it(alice):
    film(alice, SMALL, [10] * 5)
    film(alice, LARGE, [40] * 20)  # for a pixel half as long

    small = estimates.before("preview", SMALL, 10, workers=1)
    large = estimates.before("preview", LARGE, 10, workers=1)

    assert (small.low, large.low) == (pytest.approx(10), pytest.approx(40))


def test_other_sizes_count_where_there_is_not(alice):
    film(alice, LARGE, [40] * 5)

    small = estimates.before("preview", SMALL, 10, workers=1)

    assert small.low == pytest.approx(5)


def test_the_published_algorithm_is_measured_by_itself(alice):
    film(alice, SMALL, [10] * 5, engine="stereocrafter")

    said = estimates.before("stereocrafter", SMALL, 10, workers=1, reference=True)

    assert said is None


def test_a_film_is_measured_by_others_until_three_of_its_own_are_done(alice, job):
    picture = job.get_picture()
    film(alice, picture, [10] * 5)  # a second a frame
    ledger.claim_segment(job.pk, 1)
    segments = list(job.segments.all())

    assert estimates.remaining(job, segments).low == pytest.approx(50)


def test_frames_that_are_done_need_no_more_time(alice, job):
    film(alice, job.get_picture(), [10] * 5)
    segment = ledger.claim_segment(job.pk, 1)
    ledger.renew_segment(segment, frames_done=15)
    segments = list(job.segments.all())

    assert estimates.remaining(job, segments).low == pytest.approx(35)


def test_what_was_promised_is_kept_as_long_as_it_can_be():
    said = Range(60, 120)

    assert said.until(None) == said
    assert said.until(100) == Range(60, 100)
    assert said.until(400) == said
    assert said.until(10) == said  # nobody can keep that any more
    assert said.until(-10) == said


def test_the_page_passes_on_what_it_has_promised(client, alice, job):
    film(alice, job.get_picture(), [600, 600, 900, 1200, 1500, 1500])
    ledger.claim_segment(job.pk, 1)
    client.force_login(alice)
    page = client.get(job.get_absolute_url()).text
    (by,) = {part.split('"')[0] for part in page.split("&amp;by=")[1:]}
    told = int(by) - time.time()
    film(alice, job.get_picture(), [2000] * 5)  # it has become slower meanwhile

    url = f"{job.get_absolute_url()}progress/"
    later = client.get(url).text
    kept = client.get(url, {"by": by}).text

    def promised(text: str) -> float:
        return int(text.split("&amp;by=")[1].split('"')[0]) - time.time()

    assert promised(later) > told + 60
    assert promised(kept) == pytest.approx(told, abs=30)
    for nonsense in ("x", "-1", "9" * 400, "1e9", "٣"):
        assert client.get(url, {"by": nonsense}).status_code in (200, 204)


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (700, 730, "about 12 min"),
        (600, 840, "10 to 14 min"),
        (3000, 7200, "50 min to 2 h"),
        (10, 30, "less than a minute"),
        (10, 300, "less than 5 min"),
    ],
)
def test_a_range_in_words(low, high, words):
    assert between(Range(low, high)) == words


@pytest.mark.parametrize("has_card", [False, True])
def test_an_engine_s_card_says_what_was_measured_or_that_nothing_was(
    client, alice, monkeypatch, settings, has_card
):
    # Of HD frames a minute has 1440: one segment of ten frames in 5 s, so 12 min.
    film(alice, Picture(eye_width=1920, eye_height=1080), [4, 5, 5, 5, 500])
    settings.CONVERTS_HERE = True
    monkeypatch.setattr("apps.jobs.estimates.has_card", lambda: has_card)
    client.force_login(alice)

    page = client.get("/jobs/new/").text

    assert "takes one worker about 12 min, measured here lately." in page
    assert page.count("measured here lately") == 1
    assert page.count("by our estimate") == 2
    assert ("no graphics card" in page) is not has_card


def waited(job: Job, *waits: float, **changes: object) -> None:
    """First segments of films for which a GPU came after so many seconds."""
    for seconds in waits:
        Invocation.objects.create(
            job=job,
            segment_index=0,
            attempt=1,
            backend=changes.get("backend", "local"),
            inference_id="x",
            opened_at=now() - timedelta(seconds=seconds),
            begun_at=now(),
            expires_at=now(),
            answered_at=now(),
            outcome="ok",
        )


def test_how_long_a_gpu_was_lately_waited_for_is_said_of_those_who_waited(job):
    waited(job, 1, 2, 3, 600, 500)
    waited(job, *[9000] * 9, backend="sagemaker")
    assert estimates.wait_for_gpu() is None

    waited(job, 400)
    assert estimates.wait_for_gpu() == pytest.approx(500, abs=5)


def test_a_wait_ends_when_a_gpu_has_the_segment_and_begins_anew_when_it_is_sent_anew(
    job,
):
    segment = ledger.claim_segment(job.pk, 1)
    opened = partial(ledger.open_invocation, segment, backend="http")
    asked = opened(lasting=timedelta(0))
    ledger.note_waiting(asked, is_waiting=False)
    asked.refresh_from_db()
    begun = asked.begun_at
    ledger.note_waiting(
        asked, is_waiting=True
    )  # a server that is stopping gives it back
    ledger.note_waiting(asked, is_waiting=False)
    asked.refresh_from_db()

    assert begun is not None
    assert asked.begun_at == begun
    before, again = asked.opened_at, opened(lasting=timedelta(hours=1))
    assert (again.pk, again.begun_at) == (asked.pk, None)
    assert again.opened_at > before


def test_a_film_costs_what_its_segments_took(alice, settings):
    job = film(alice, SMALL, [1800, 1800])

    settings.GPU_HOUR_PRICE = 2.5
    assert estimates.cost(job) == pytest.approx(2.5)
    settings.GPU_HOUR_PRICE = None
    assert estimates.cost(job) is None


def test_staff_sees_the_cost_of_a_film_in_the_admin(admin_client, alice, settings):
    job = film(alice, SMALL, [1800, 1800])
    settings.GPU_HOUR_PRICE = 2.5

    page = admin_client.get(f"/admin/jobs/job/{job.pk}/change/").text

    assert "2.50, for 3600 s of conversion" in page
