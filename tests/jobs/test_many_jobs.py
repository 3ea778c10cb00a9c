"""Ten thousand jobs cost as much to look through as ten."""

from __future__ import annotations

import pytest

from apps.jobs.models import Job
from tests.jobs import many

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
