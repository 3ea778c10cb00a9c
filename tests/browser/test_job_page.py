"""A job's page while the film is converted: it moves under nobody's hands."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.looks import assert_accessible, assert_fits_a_phone

# Messages are far from due, so that no worker looks for objects that are not there.
MAKE = """
from datetime import timedelta
from django.contrib.auth.models import User
from django.utils.timezone import now
from apps.jobs.models import Job, Segment
later = now() + timedelta(days=1)
job = Job.objects.create(
    owner=User.objects.get(username="alice"), title="Rain", mode="sbs", attempt=1,
    status="chunking_complete", total_segments=12, started_at=now(), notify_at=later)
Segment.objects.bulk_create(
    Segment(job=job, index=i, frames={}, frame_count=480, notify_at=later)
    for i in range(12))
print(job.pk)
"""
CONVERT = """
from apps.jobs import ledger
claimed = ledger.claim_segment("{job}", {index})
ledger.finish_segment(claimed, seconds=9, version="preview")
"""


@pytest.fixture
def job(site) -> str:
    return site.run(MAKE)


def test_a_cell_keeps_the_focus_while_the_film_goes_on(page, site, job):
    page.goto(f"/jobs/{job}/")
    cell = page.get_by_role("link", name="Segment 3: queued")
    cell.focus()

    site.run(CONVERT.format(job=job, index=2))

    expect(page.get_by_role("link", name="Segment 3: done")).to_be_focused(
        timeout=30_000
    )
    expect(page.get_by_text("Queued, 1 of 12 segments done.").first).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.locator(":target")).to_contain_text("Segment 3")
    page.get_by_role("link", name="Back to the film").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Rain")


@pytest.mark.parametrize("path", ["/jobs/{job}/", "/jobs/{job}/segments/"])
def test_it_serves_both_themes_and_a_phone(page, job, path):
    page.goto(path.format(job=job))

    assert_accessible(page)
    assert_fits_a_phone(page)
    assert_accessible(page)


def test_a_lost_line_is_said_and_mended(page, watch, job):
    watch.allow("ERR_INTERNET_DISCONNECTED|htmx:(afterRequest|sendError)")
    page.goto(f"/jobs/{job}/")

    page.context.set_offline(True)
    expect(page.locator("#stale")).to_be_visible()
    expect(page.locator("#said")).to_have_text("Live updates paused, retrying.")
    page.context.set_offline(False)

    expect(page.locator("#stale")).to_be_hidden()
    expect(page.locator("#said")).to_have_text("Queued, 0 of 12 segments done.")


def test_a_site_that_hangs_is_no_site_that_answers(page, watch, job):
    watch.allow("htmx:(afterRequest|timeout)")
    page.goto(f"/jobs/{job}/")

    page.route("**/progress/**", lambda route: None)

    expect(page.locator("#stale")).to_be_visible()


def test_cancel_is_no_single_click(page, job):
    page.goto(f"/jobs/{job}/")

    page.locator("summary", has_text="Cancel").click()
    expect(page.get_by_text("it cannot be gone on with")).to_be_visible()
    assert_accessible(page)
    assert_fits_a_phone(page)
    page.get_by_role("button", name="Cancel for good").click()

    expect(page.get_by_text("Cancelled: convert the film anew")).to_be_visible()
    assert_accessible(page)
    assert_fits_a_phone(page)
