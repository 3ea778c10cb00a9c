"""Sending a film, as a person at a browser does it."""

from __future__ import annotations

import re
import time
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Page, expect

from tests.browser.films import film
from tests.browser.looks import assert_accessible, assert_fits_a_phone
from tests.browser.site import Site

MBIT = 1_000_000 / 8
A_MINUTE = 60_000
PLAYED = """async (video) => {
  video.muted = true;
  await video.play();
  await new Promise((heard) => video.addEventListener("timeupdate", heard));
  return [video.videoWidth, video.videoHeight];
}"""


def choose(page: Page, *files: Path) -> None:
    page.get_by_label("Video file").set_input_files([str(each) for each in files])


def send(page: Page, *files: Path) -> None:
    page.goto("/jobs/new/")
    choose(page, *files)
    page.get_by_role("button", name="Upload and convert").click()


def slow_line(page: Page, *, megabits: float) -> None:
    """Also when a page was just loaded; the last word counts."""
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.send(
        "Network.emulateNetworkConditions",
        {
            "offline": False,
            "latency": 0,
            "downloadThroughput": -1,
            "uploadThroughput": megabits * MBIT,
        },
    )


def row(page: Page, name: str = "Rain"):
    return page.locator("#sending li").filter(has_text=name)


def sent_parts(page: Page) -> list[str]:
    """Fills up with the addresses to which parts are put from now on."""
    parts: list[str] = []
    page.on(
        "request",
        lambda request: parts.append(request.url) if request.method == "PUT" else None,
    )
    return parts


def wait_for_parts(page: Page, site: Site, number: int) -> None:
    """Until so many parts of the film lie on the site's disk."""
    source = site.machine.data_dir / "source"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        noted = [n for p in source.rglob(".*.parts") for n in p.read_text().split()]
        if len(noted) >= number:
            return
        page.wait_for_timeout(100)
    raise AssertionError("no part arrived")


def web_processes(site: Site) -> list[psutil.Process]:
    return [p for p in site.machine.processes() if "gunicorn" in " ".join(p.cmdline())]


def jobs(site: Site) -> int:
    [[count]] = site.machine.query(
        "SELECT count(*) FROM jobs_job WHERE status <> 'deleted'"
    )
    return count


@pytest.fixture(autouse=True)
def nothing_begun(site: Site) -> None:
    """No test finds what another has left."""
    site.machine.query("UPDATE jobs_upload SET arrived_at = now() RETURNING 1")


def test_a_film_is_sent_converted_watched_and_downloaded(page, tmp_path):
    path = film(tmp_path, "映画<script>.mp4")

    send(page, path)

    page.wait_for_url(re.compile("/jobs/[0-9a-f-]{36}/$"))
    expect(page.get_by_role("heading", level=1)).to_have_text("映画<script>")
    video = page.locator("video")
    expect(video).to_be_attached(timeout=2 * A_MINUTE)
    assert video.evaluate(PLAYED) == [384, 108]
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == "映画script_3D_LRF_Full_SBS.mp4"
    assert Path(download.value.path()).stat().st_size > 1000


def test_pause_holds_and_a_stopped_server_is_waited_for(page, watch, site, tmp_path):
    watch.allow(r"ERR_CONNECTION|ERR_EMPTY_RESPONSE|ERR_SOCKET")
    path = film(tmp_path, megabytes=70)
    page.goto("/jobs/new/")
    slow_line(page, megabits=200)
    send(page, path)
    expect(row(page)).to_contain_text(re.compile(r"\d+\.\d of \d+\.\d MB"))
    wait_for_parts(page, site, 1)

    row(page).get_by_role("button", name="Pause Rain").click()
    expect(row(page)).to_contain_text("Paused")
    parts = sent_parts(page)
    page.wait_for_timeout(500)
    assert parts == []
    for process in web_processes(site):
        process.kill()
    row(page).get_by_role("button", name="Resume Rain").click()

    expect(row(page)).to_contain_text("Connection lost. Retrying…")
    page.wait_for_url(re.compile("/jobs/[0-9a-f-]{36}/$"), timeout=A_MINUTE)
    assert 0 < len(parts) < 5  # of five, one was there before
    [[key]] = site.machine.query(
        "SELECT 'input/' || id || '/source.mp4' FROM jobs_job ORDER BY created_at DESC LIMIT 1"
    )
    stored = site.machine.data_dir / "source" / key
    assert stored.read_bytes() == path.read_bytes()


def test_after_a_reload_the_same_file_goes_on_where_it_was(page, site, watch, tmp_path):
    watch.allow("ERR_FAILED")
    path = film(tmp_path, megabytes=150)
    other = film(tmp_path, "Snow.mp4")
    page.goto("/jobs/new/")
    slow_line(page, megabits=300)
    send(page, path)
    wait_for_parts(page, site, 2)
    slow_line(page, megabits=1)
    before = jobs(site)

    warned: list[str] = []
    page.once("dialog", lambda said: (warned.append(said.type), said.accept()))
    page.reload()
    assert warned == ["beforeunload"]
    begun = page.locator("#unfinished li").filter(has_text="Rain.mp4")
    expect(begun).to_contain_text(re.compile(r"[\d.]+ of [\d.]+ MB are there"))
    assert_accessible(page)
    begun.get_by_label("Resume").set_input_files(str(other))
    expect(begun).to_contain_text("Snow.mp4 is not the file that was begun")
    page.route("**/uploads/film/", lambda route: route.abort())
    choose(page, path)
    expect(page.locator("#problems")).to_have_text(
        "The site does not answer. Choose the file again."
    )
    page.unroute("**/uploads/film/")
    parts = sent_parts(page)
    slow_line(page, megabits=1000)
    choose(page, path)

    page.wait_for_url(re.compile("/jobs/[0-9a-f-]{36}/$"), timeout=A_MINUTE)
    assert 0 < len(parts) <= 8  # of ten
    assert jobs(site) == before


def test_two_films_go_at_once_and_each_becomes_a_job(page, site, tmp_path):
    before = jobs(site)

    send(page, film(tmp_path, "Rain.mp4"), film(tmp_path, "Snow.mp4"))

    for name in ("Rain", "Snow"):
        expect(row(page, name)).to_contain_text("Uploaded; it is being converted")
    expect(page.locator("#said")).to_have_text("Uploaded: Rain, Snow")
    assert jobs(site) == before + 2
    expect(page.get_by_label("Video file")).to_be_visible()  # for the next ones
    page.get_by_role("link", name="Open Snow").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Snow")


def test_cancel_leaves_nothing_behind(page, site, tmp_path):
    before = jobs(site)
    page.goto("/jobs/new/")
    slow_line(page, megabits=100)
    send(page, film(tmp_path, megabytes=70))
    wait_for_parts(page, site, 1)

    row(page).get_by_role("button", name="Cancel Rain").click()

    expect(row(page)).to_contain_text("Cancelled")
    expect(page.get_by_label("Video file")).to_be_focused()
    deadline = time.monotonic() + 30
    source = site.machine.data_dir / "source"
    while list(source.rglob(".*.part*")) and time.monotonic() < deadline:
        page.wait_for_timeout(100)
    assert list(source.rglob(".*.part*")) == []
    assert jobs(site) == before


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("letter.mp4", b"Dear Alice,\n" * 99, "letter.mp4 is a text, not a video"),
        ("book.mkv", b"%PDF-1.7\n\x00\x01", "book.mkv is a PDF document, not a video"),
        ("nothing.mp4", b"", "nothing.mp4 is empty: choose another file."),
    ],
)
def test_what_is_no_film_is_refused_before_it_travels(
    page, site, tmp_path, name, content, words
):
    (tmp_path / name).write_bytes(content)
    before = jobs(site)
    page.goto("/jobs/new/")
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.method))

    choose(page, tmp_path / name)

    expect(page.locator("#problems")).to_contain_text(words)
    page.get_by_role("button", name="Upload and convert").click()
    page.wait_for_timeout(200)
    assert "POST" not in requests
    assert jobs(site) == before


def test_what_only_pretends_to_be_a_film_is_refused_by_the_site(page, watch, tmp_path):
    watch.allow("422 .*/preview/")  # there is no frame to show, if it is asked in time
    (tmp_path / "Noise.mp4").write_bytes(bytes(range(256)) * 99)

    send(page, tmp_path / "Noise.mp4")

    page.wait_for_url(re.compile("/jobs/[0-9a-f-]{36}/$"))
    expect(page.locator("main")).to_contain_text("not-a-video", timeout=A_MINUTE)


def test_by_keyboard_alone(page, tmp_path):
    path = film(tmp_path)
    # Heard of from now on: asked for just before the key, it came too late on a busy machine.
    page.on("filechooser", lambda chooser: None)
    page.goto("/jobs/new/")
    page.get_by_label("Video file").focus()
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Space")
    chooser.value.set_files(str(path))
    expect(page.get_by_label("Title")).to_have_value("Rain")

    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("() => document.activeElement.textContent") == (
            "Upload and convert"
        ):
            break
    page.keyboard.press("Enter")

    page.wait_for_url(re.compile("/jobs/[0-9a-f-]{36}/$"))


def test_the_page_serves_everybody_while_it_sends(page, site, tmp_path):
    page.goto("/jobs/new/")
    slow_line(page, megabits=8)
    send(page, film(tmp_path, megabytes=40))
    expect(row(page)).to_contain_text("B/s")
    expect(page).to_have_title(re.compile(r"^\d+ % · Convert a video"))

    assert_accessible(page)
    assert_fits_a_phone(page)
    with page.expect_event("dialog") as leaving:
        page.close(run_before_unload=True)
    leaving.value.dismiss()
    expect(row(page)).to_contain_text("B/s")  # who stays loses nothing
    row(page).get_by_role("button", name="Cancel").click()
    expect(row(page)).to_contain_text("Cancelled")


_DRAGGED = """([name, bytes]) => {
  const dragged = new DataTransfer();
  dragged.items.add(new File([new Uint8Array(bytes)], name, { type: "video/mp4" }));
  return dragged;
}"""


def test_a_film_may_be_dropped_onto_the_page(page, tmp_path):
    path = film(tmp_path)
    page.goto("/jobs/new/")
    place = page.locator(".drop")
    dragged = page.evaluate_handle(_DRAGGED, [path.name, list(path.read_bytes())])

    place.dispatch_event("dragover", {"dataTransfer": dragged})
    expect(place).to_have_class(re.compile("over"))
    place.dispatch_event("dragleave", {"dataTransfer": dragged})
    expect(place).not_to_have_class(re.compile("over"))
    place.dispatch_event("drop", {"dataTransfer": dragged})

    expect(page.get_by_label("Title")).to_have_value("Rain")
    chosen = page.get_by_label("Video file")
    assert chosen.evaluate("(e) => e.files[0].size") == path.stat().st_size


def test_a_depth_video_goes_with_its_film(page, site, tmp_path):
    page.goto("/jobs/new/")
    choose(page, film(tmp_path))
    depth = film(tmp_path, "Depth.mkv")
    page.get_by_label("Depth video").set_input_files(str(depth))
    page.get_by_role("button", name="Upload and convert").click()

    page.wait_for_url(re.compile("/jobs/[0-9a-f-]{36}/$"))
    job_id = page.url.split("/")[-2]
    stored = site.machine.data_dir / "source" / "input" / job_id / "depth.mkv"
    assert stored.read_bytes() == depth.read_bytes()


def test_a_page_without_javascript_says_so(visit):
    page = visit("alice", java_script_enabled=False)

    page.goto("/jobs/new/")

    assert "that needs JavaScript" in page.content()
    button = page.get_by_role("button", name="Upload and convert")
    expect(button).to_be_disabled()
    expect(button).to_have_css("opacity", "0.5")  # and looks it
    expect(button).to_have_css("cursor", "not-allowed")
