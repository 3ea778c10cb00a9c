"""Flower through the site: for staff, from its own pages, under a strict policy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings as django_settings
from pydantic import SecretStr

from apps.monitoring.views import flower as view
from tests.workers.flower import LOGIN, Flower

HERE = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture(scope="module")
def real(tmp_path_factory) -> Iterator[Flower]:
    own = Flower(tmp_path_factory.mktemp("flower"), django_settings.DATABASE_URL)
    yield own
    own.stop()


@pytest.fixture
def flower(real, settings) -> Iterator[Flower]:
    settings.FLOWER_URL = f"http://127.0.0.1:{real.port}"
    settings.FLOWER_BASIC_AUTH = SecretStr(":".join(LOGIN))
    view._client.cache_clear()
    yield real
    view._client().close()
    view._client.cache_clear()


@pytest.fixture
def staff(client, admin_user) -> Any:
    client.force_login(admin_user)
    return client


@pytest.mark.parametrize("path", ["", "tasks", "workers", "static/css/flower.css"])
def test_staff_sees_flower_without_its_password(flower, staff, path):
    answer = staff.get(f"/flower/{path}")

    assert answer.status_code == 200
    assert "script-src 'self' 'sha256-" in answer["Content-Security-Policy"]
    assert "unsafe" not in answer["Content-Security-Policy"]


def test_the_one_script_in_a_page_is_the_one_that_is_allowed(flower, staff):
    page = staff.get("/flower/workers").text

    scripts = [
        part.split(">", 1)[1].split("</script>")[0]
        for part in page.split("<script")[1:]
        if " src=" not in part.split(">", 1)[0]
    ]
    assert scripts == [view._SCRIPT]


def test_what_is_searched_for_is_handed_on(flower, staff):
    query = "draw=7&start=0&length=5&order[0][column]=0&search[value]=a%26b"

    assert staff.get(f"/flower/tasks/datatable?{query}").json()["draw"] == 7


def test_others_do_not_learn_that_it_exists(flower, client, alice):
    assert client.get("/flower/")["Location"].startswith("/login/")

    client.force_login(alice)

    assert client.get("/flower/workers").status_code == 404


def test_orders_come_from_flowers_own_pages_only(flower, staff):
    path = "/flower/api/worker/shutdown/nobody"

    assert staff.post(path, headers=HERE).status_code == 404  # Flower knows no such one
    for headers in (
        {},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://testserver"},
        {"Origin": "https://evil.example"},
    ):
        assert staff.post(path, headers=headers).status_code == 403


def test_a_path_cannot_lead_elsewhere(flower, staff):
    answer = staff.get("/flower/worker/a%3Fb%23c%2F..%2F..")

    assert answer.status_code == 404


def test_without_flower_the_page_says_so(flower, staff, settings):
    settings.FLOWER_URL = "http://127.0.0.1:9"

    answer = staff.get("/flower/")

    assert answer.status_code == 502
    assert "does not answer" in answer.text


def test_a_site_without_flower_has_no_such_page(staff, settings):
    settings.FLOWER_URL = ""

    assert staff.get("/flower/").status_code == 404
