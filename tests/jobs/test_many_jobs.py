"""Ten thousand jobs cost as much to look through as ten."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from apps.jobs.models import Job
from tests.jobs import many


@pytest.fixture
def dora(db) -> User:
    """Runs the machine."""
    return User.objects.create_superuser("dora")


PAGES = [
    "/",
    "/?state=active",
    "/?state=completed",
    "/?state=failed",
    "/?state=cancelled",
    "/?q=clip",
    "/?q=LIP 7777",
    "/?q=77",
    "/?q=snow",
    "/?q=clip&state=failed",
    "/?q=%25_\\",
    "/?before={middle}",
    "/?before={middle}&state=completed&q=lip",
]


@pytest.mark.parametrize("sees_all", [False, True])
def test_no_page_of_the_list_looks_through_all_jobs(client, alice, charlie, sees_all):
    many.fill(alice, 10_000)
    many.fill(charlie, 1_000)
    alice.is_staff = sees_all
    alice.save()
    client.force_login(alice)
    middle = Job.objects.get(title="Clip 5000").pk

    for url in PAGES:
        for sql, node in many.plans(client, url.format(middle=middle)):
            assert not many.scans_a_table(node), (url, sql)
            assert many.looked_at(node) < 1000, (url, sql, node)


def test_a_page_of_long_films_does_not_count_their_segments(client, alice):
    many.fill(alice, 30, segments=1000)
    client.force_login(alice)

    assert ">1000/1000<" in client.get("/").text
    for sql, node in many.plans(client, "/"):
        assert many.looked_at(node) < 1000, (sql, node)


ADMIN = [
    "/admin/jobs/job/",
    "/admin/jobs/job/?p=12",
    "/admin/jobs/job/?q=LIP 7777",
    "/admin/jobs/job/?q=snow",
    "/admin/jobs/job/?q=alice",
    "/admin/jobs/job/?status__exact=failed",
    "/admin/jobs/job/?status__exact=cancelled",
    "/admin/jobs/job/{middle}/change/",
    "/admin/jobs/deadletter/",
]


def test_no_page_of_the_admin_counts_or_looks_through_all_jobs(client, alice, dora):
    many.fill(alice, 10_000)
    client.force_login(dora)
    middle = Job.objects.get(title="Clip 5000").pk

    for url in ADMIN:
        for sql, node in many.plans(client, url.format(middle=middle)):
            assert not many.scans_a_table(node), (url, sql)
            assert many.looked_at(node) <= 1050, (url, sql, node)
            # Of segments only those are counted that are not done, of the page's jobs.
            counts = "COUNT(" in sql
            assert not counts or 'FROM "jobs_segment" WHERE' in sql, (url, sql)


def test_a_job_of_many_segments_shows_the_unfinished_first(client, alice, dora):
    many.fill(alice, 1, segments=1500)
    job = Job.objects.get(title="Clip 1")
    job.segments.filter(index=1234).update(
        status="pending", seconds=None, finished_at=None
    )
    client.force_login(dora)

    page = client.get(f"/admin/jobs/job/{job.pk}/change/").text

    assert page.count("field-frame_count") == 200
    assert page.index("/01234") < page.index("/00000")
