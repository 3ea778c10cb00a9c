"""A page is light: without films it fits a slow line."""

from __future__ import annotations

import pytest

from tests.browser.test_job_page import MAKE

MOST_BYTES = 150_000
WEIGHT = """() => [
  ...performance.getEntriesByType("navigation"),
  ...performance.getEntriesByType("resource"),
].map((each) => [each.name, each.encodedBodySize])"""


@pytest.mark.parametrize(
    ("path", "person"),
    [
        ("/login/", None),
        ("/", "alice"),
        ("/jobs/new/", "alice"),
        ("/jobs/{job}/", "alice"),
        ("/account/", "alice"),
        ("/admin/fleet/", "sally"),
    ],
)
def test_a_page_weighs_less_than_150_kb(visit, site, path, person):
    address = path.format(job=site.run(MAKE) if "{job}" in path else "")
    page = visit(person)

    page.goto(address, wait_until="networkidle")

    weights = page.evaluate(WEIGHT)
    assert sum(weight for _, weight in weights) < MOST_BYTES, weights
