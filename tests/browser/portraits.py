"""Pictures of every page, for the docs: of the real site, with a film that went through it.

    python -m tests.browser.portraits [NAME …]

writes docs/pictures/pages/NAME.webp, all of them or those named. Wants Chromium.
"""

from __future__ import annotations

import io
import sys
import tempfile
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
from playwright.sync_api import Browser, Page, sync_playwright

from inference.scene import render
from tests.browser.conftest import PATIENCE, found_chromium
from tests.browser.site import PASSWORD, Site, opened

TARGET = Path(__file__).parents[2] / "docs/pictures/pages"
DESK = {"width": 1100, "height": 760}
WALL = {"width": 1500, "height": 760}
PHONE = {"width": 360, "height": 740}
QUALITY = "75"
LINE = 20_000_000 / 8
"""Bytes a second of the upload that is shown."""
FIRST_FRAME = 120_000
"""Milliseconds until a preview is there: torch is loaded for it."""

# Through the real pipeline, from its source on.
CONVERT = """
import time
from pathlib import Path
from django.contrib.auth.models import User
from apps.jobs import ledger, storage
from apps.jobs.models import Job
from apps.pipeline import messages
job = Job.objects.create(
    owner=User.objects.get(username="alice"), title="Balloon over the fence", mode="sbs")
storage.source().put(job.source_key, Path({film!r}))
ledger.start(job.pk)
job.refresh_from_db()
messages.send_stage(job)
while not job.is_over:
    time.sleep(1)
    job.refresh_from_db()
assert job.status == "completed", job.error_message
print(job.pk)
"""
# Messages are far from due, so that no worker looks for objects that are not there.
OTHERS = """
from datetime import timedelta
from django.contrib.auth.models import User
from django.utils.timezone import now
from apps.jobs import ledger
from apps.jobs.models import Event, Job, Segment
from contract.errors import ErrorCode, StereoSpotError
later, alice = now() + timedelta(days=1), User.objects.get(username="alice")
def film(title, mode, total, begun):
    job = Job.objects.create(
        owner=alice, title=title, mode=mode, attempt=1, status="chunking_complete",
        total_segments=total, started_at=now() - begun, notify_at=later)
    Event.objects.create(job=job, kind="started", at=now() - begun)
    Event.objects.create(job=job, kind="chunked", at=now() - begun + timedelta(seconds=41))
    Segment.objects.bulk_create(
        Segment(job=job, index=i, frames={}, frame_count=480, notify_at=later)
        for i in range(total))
    return job
def convert(job, number):
    for index in range(number):
        claimed = ledger.claim_segment(job.pk, index)
        ledger.finish_segment(claimed, seconds=50 + index % 7, version="preview-3")
running = film("Holidays 2019", "half_sbs", 64, timedelta(minutes=21))
convert(running, 23)
for index in (23, 24):
    ledger.claim_segment(running.pk, index)
running.segments.filter(status="running").update(lease_expires_at=later)
failed = film("Grandma’s wedding", "anaglyph", 24, timedelta(minutes=9))
convert(failed, 9)
ledger.fail_segment(
    ledger.claim_segment(failed.pk, 9),
    StereoSpotError(ErrorCode.DISK_FULL, "The disk is full: free some space and retry."))
queued = film("Été à la mer", "tab", 12, timedelta(minutes=2))
cancelled = film("Test shot", "sbs", 3, timedelta(minutes=1))
ledger.cancel(cancelled.pk)
print(running.pk, failed.pk)
"""


class Portrait(NamedTuple):
    name: str
    path: str
    person: str | None = "alice"
    theme: str = "light"
    on_phone: bool = False
    is_wide: bool = False
    whole: bool = False
    """The page down to its end, and not only what a window shows."""
    is_sent: bool = False
    """With its film on the way."""


def portraits(completed: str, running: str, failed: str) -> list[Portrait]:
    return [
        Portrait("sign-in", "/login/", None),
        Portrait("jobs", "/"),
        Portrait("jobs-dark-phone", "/", theme="dark", on_phone=True),
        Portrait("new", "/jobs/new/", whole=True),
        Portrait("upload", "/jobs/new/", is_sent=True),
        Portrait("address", "/jobs/link/"),
        Portrait("prompt", "/jobs/prompt/"),
        Portrait("job-running", f"/jobs/{running}/"),
        Portrait("job-running-dark", f"/jobs/{running}/", theme="dark"),
        Portrait("segments", f"/jobs/{failed}/segments/"),
        Portrait("job-failed", f"/jobs/{failed}/"),
        Portrait("job-completed", f"/jobs/{completed}/", whole=True),
        Portrait("account", "/account/"),
        Portrait("api", "/account/api/"),
        Portrait("admin-jobs", "/admin/jobs/job/", "sally", is_wide=True),
        Portrait("fleet", "/admin/fleet/", "sally"),
    ]


def draw(wanted: list[str]) -> None:
    TARGET.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        opened(INGEST_HOSTS="archive.org", PROMPTS="true") as site,
    ):
        film = Path(folder) / "Balloon over the fence.mp4"
        render(film, seconds=4.0)
        running, failed = site.run(OTHERS).split()
        # The store keeps the very file that it is given.
        given = Path(folder) / "given.mp4"
        given.write_bytes(film.read_bytes())
        completed = site.run(CONVERT.format(film=str(given)))
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=found_chromium(), args=["--no-sandbox"]
            )
            for each in portraits(completed, running, failed):
                if not wanted or each.name in wanted:
                    _draw(browser, site, each, film)
            browser.close()


def _draw(browser: Browser, site: Site, portrait: Portrait, film: Path) -> None:
    size = PHONE if portrait.on_phone else WALL if portrait.is_wide else DESK
    options: dict[str, Any] = {"viewport": size, "color_scheme": portrait.theme}
    context = browser.new_context(base_url=site.url, locale="en-GB", **options)
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    if portrait.person:
        _sign_in(page, portrait.person)
    page.goto(portrait.path)
    if portrait.path == "/jobs/new/":
        page.get_by_label("Video file").set_input_files(film)
        page.locator("#preview-shown").wait_for(timeout=FIRST_FRAME)
        if portrait.is_sent:
            _send(page, film)
    if page.locator("#player").count():
        page.locator("#player[data-state=drawn]").wait_for()
    page.wait_for_timeout(500)
    target = TARGET / f"{portrait.name}.webp"
    target.write_bytes(_webp(page.screenshot(full_page=portrait.whole)))
    print(f"{target.name}: {target.stat().st_size / 1000:.0f} kB")
    context.close()


def _send(page: Page, film: Path) -> None:
    """As over a line of 20 Mbit/s, until some of it is there and a speed can be told."""
    heavy = film.with_name("Grandma’s wedding.mp4")
    free = 400 * 1024**2  # padding, which every player skips
    with heavy.open("wb") as file:
        file.write(film.read_bytes() + free.to_bytes(4, "big") + b"free")
        file.truncate(film.stat().st_size + free)
    line = {"offline": False, "latency": 20, "downloadThroughput": -1}
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.send("Network.emulateNetworkConditions", line | {"uploadThroughput": LINE})
    page.get_by_label("Video file").set_input_files(heavy)
    page.get_by_role("button", name="Upload and convert").click()
    page.wait_for_timeout(8000)


def _sign_in(page: Page, name: str) -> None:
    page.goto("/login/")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("/")


def _webp(png: bytes) -> bytes:
    with av.open(io.BytesIO(png)) as container:
        frame = next(container.decode(video=0))
    encoder = av.CodecContext.create("libwebp", "w")
    encoder.width, encoder.height = frame.width, frame.height
    encoder.pix_fmt, encoder.time_base = "bgra", Fraction(1, 25)
    encoder.options = {"quality": QUALITY, "compression_level": "6"}
    packets = [*encoder.encode(frame.reformat(format="bgra")), *encoder.encode(None)]
    return b"".join(bytes(packet) for packet in packets)


if __name__ == "__main__":
    draw(sys.argv[1:])
