"""Every page as all kinds of people meet it."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.looks import assert_accessible, assert_fits_a_phone

DESK = {"width": 1280, "height": 720}
PAGES = {
    "/login/": None,
    "/": "alice",
    "/jobs/new/": "alice",
    "/jobs/link/": "alice",
    "/jobs/prompt/": "alice",
    "/account/": "alice",
    "/nowhere/": "alice",
}


@pytest.mark.parametrize(("path", "person"), PAGES.items(), ids=list(PAGES))
def test_a_page_serves_both_themes_and_a_phone(visit, watch, path, person):
    watch.allow(r"404 \(Not Found\).*/nowhere/")
    page = visit(person)

    page.goto(path)

    assert_accessible(page)
    assert_fits_a_phone(page)
    assert_accessible(page)


# Messages are far from due, so that no worker looks for objects that are not there.
ENDED = """
from datetime import timedelta
from django.contrib.auth.models import User
from django.utils.timezone import now
from apps.jobs import ledger
from apps.jobs.models import Job, Segment
from contract.errors import ErrorCode, StereoSpotError
later = now() + timedelta(days=1)
for title in ("Failed", "Cancelled"):
    job = Job.objects.create(
        owner=User.objects.get(username="alice"), title=title, mode="sbs", attempt=1,
        status="chunking_complete", total_segments=2, started_at=now(), notify_at=later)
    Segment.objects.bulk_create(
        Segment(job=job, index=i, frames={}, frame_count=480, notify_at=later)
        for i in range(2))
    if title == "Failed":
        ledger.fail_segment(ledger.claim_segment(job.pk, 0), StereoSpotError(
            ErrorCode.DISK_FULL, "The disk is full: free some space and retry."))
    else:
        ledger.cancel(job.pk)
    print(job.pk)
"""


def test_the_page_of_a_film_that_came_to_nothing_serves_them_too(page, site):
    failed, cancelled = site.run(ENDED).split()

    for job, words in (
        (failed, "What went wrong"),
        (cancelled, "convert the film anew"),
    ):
        page.goto(f"/jobs/{job}/")
        expect(page.get_by_text(words)).to_be_visible()
        assert_accessible(page)
        assert_fits_a_phone(page)
        assert_accessible(page)
        page.set_viewport_size(DESK)


def test_who_cannot_sign_in_is_told_whoever_they_are(visit):
    page = visit(None)
    page.goto("/login/")
    page.get_by_label("Name").fill("nobody")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()

    expect(page.get_by_role("alert")).to_be_visible()
    assert_accessible(page)
    assert_fits_a_phone(page)
    assert_accessible(page)


def test_a_stranger_signs_in_by_keyboard_and_lands_where_they_wanted(visit, site):
    page = visit(None)
    page.goto("/jobs/new/")

    expect(page.get_by_label("Name")).to_be_focused()
    page.keyboard.type("bob")
    page.keyboard.press("Tab")
    page.keyboard.type("correct horse battery")
    page.keyboard.press("Enter")

    page.wait_for_url("/jobs/new/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Convert a video")
