"""The list of jobs in a browser: its first picture with many jobs in the table, and few."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from functools import partial
from statistics import median

from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
from django.core.management import call_command
from django.db import connection
from django.utils.timezone import now
from playwright.sync_api import sync_playwright

from apps.jobs.accounts import administrator
from apps.jobs.models import Event, Job, Segment
from benchmarks.parts import Bench
from benchmarks.row import Row, in_turns
from stereospot.embedded import free_port, is_free
from stereospot.supervisor import Supervisor

FEW = 10
SEGMENTS = 3
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
LOOK = 5
"""Milliseconds between two looks whether there is a picture."""
PAINTED = "performance.getEntriesByName('first-contentful-paint')"


def measure(bench: Bench) -> Iterator[Row]:
    many, loads, runs = (30, 2, 1) if bench.quick else (10_000, 15, 3)
    row = partial(
        Row, f"first picture of the list, {many} jobs", "ms", 1.5, f"{FEW} jobs"
    )
    chromium = os.environ.get("CHROMIUM") or next(
        filter(None, map(shutil.which, NAMES)), None
    )
    if chromium is None:
        yield row(why_not="no Chromium")
        return
    owner = administrator()
    with _site(bench) as url:
        painted = partial(_painted, chromium, url, _session(owner), loads)

        def with_jobs(number: int) -> float:
            _fill(owner, number)
            return painted()

        yield row(*in_turns(partial(with_jobs, many), partial(with_jobs, FEW), runs))


@contextlib.contextmanager
def _site(bench: Bench) -> Iterator[str]:
    """The pages, as `make run` serves them; their address."""
    call_command("collectstatic", interactive=False, verbosity=0)
    port = free_port()
    threads = ("--worker-class", "gthread", "--workers", "2", "--threads", "16")
    with Supervisor(bench.folder / "logs") as supervisor:
        options = ("--bind", f"127.0.0.1:{port}", "--no-control-socket")
        supervisor.start("web", "-m", "gunicorn", "stereospot.wsgi", *threads, *options)
        bench.until(lambda: not is_free(port), 60)
        yield f"http://127.0.0.1:{port}"


def _session(user: User) -> str:
    """The cookie's value of somebody who has signed in."""
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.save()
    return str(session.session_key)


def _fill(owner: User, number: int) -> None:
    """So many completed jobs, and no other."""
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE jobs_job CASCADE")
    made = Job.objects.bulk_create(
        Job(
            owner=owner,
            title=f"Clip {index}",
            mode="sbs",
            status=Job.Status.COMPLETED,
            total_segments=SEGMENTS,
            started_at=now(),
            finished_at=now(),
        )
        for index in range(number)
    )
    Event.objects.bulk_create(Event(job=job, kind="completed") for job in made)
    Segment.objects.bulk_create(
        Segment(
            job=job,
            index=index,
            frames={},
            frame_count=1,
            status=Segment.Status.DONE,
            seconds=9.0,
            finished_at=now(),
        )
        for job in made
        for index in range(SEGMENTS)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def _painted(chromium: str, url: str, session: str, loads: int) -> float:
    """Milliseconds from the click to the first picture: the median of several loads."""
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    found = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=sandbox)
        context = browser.new_context(base_url=url)
        context.add_cookies([{"name": "sessionid", "value": session, "url": url}])
        page = context.new_page()
        for number in range(loads + 1):
            page.goto("/")
            # Playwright's own waiting wants eval, which the site's policy forbids.
            while not page.evaluate(f"{PAINTED}.length"):
                page.wait_for_timeout(LOOK)
            if number:  # the first one fills the browser's cache
                found.append(float(page.evaluate(f"{PAINTED}[0].startTime")))
        if page.locator("text=Clip").count() == 0:
            raise RuntimeError("the page shows no job")
        browser.close()
    return median(found)
