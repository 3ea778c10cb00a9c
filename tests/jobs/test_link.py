"""A film by its address: what the page and the API take, and what they say."""

from __future__ import annotations

import html
import re
from uuid import uuid4

import pytest
from django.test import Client

from apps.jobs import ledger, limits
from apps.jobs.models import Job
from apps.pipeline import messages
from contract.origins import Link
from tests.concurrency import at_once
from tests.jobs.test_api import client_of
from tests.jobs.test_api_uploads import create

PAGE = "/jobs/link/"
URL = "https://films.example/rain.mp4?key=secret"


@pytest.fixture(autouse=True)
def somewhere(settings, monkeypatch) -> None:
    """Films may be fetched from one site."""
    settings.INGEST_HOSTS = ["films.example"]
    monkeypatch.setattr(messages, "send_stage", lambda job: None)


@pytest.fixture
def hers(client, alice):
    client.force_login(alice)
    return client


def wish(**fields: object) -> dict[str, object]:
    chosen = {
        "mode": "half_sbs",
        "engine": "fast",
        "max_disparity": 2,
        "convergence": 1,
    }
    return {"request_id": uuid4().hex, "url": URL, **chosen, **fields}


def test_a_film_is_fetched_as_the_form_says(hers, alice):
    answer = hers.post(PAGE, wish())

    job = Job.objects.get()
    assert (answer.status_code, answer["Location"]) == (303, f"/jobs/{job.pk}/")
    assert (job.owner, job.mode, job.engine, job.convergence) == (
        *(alice, "half_sbs"),
        *("fast", 1.0),
    )
    assert job.get_origin() == Link(url=URL)
    assert job.status == Job.Status.INGESTING


def test_the_job_s_page_does_not_show_the_key_to_the_film(hers):
    hers.post(PAGE, wish())

    page = hers.get(f"/jobs/{Job.objects.get().pk}/").text

    assert "secret" not in page


def test_the_same_form_twice_is_one_job(hers):
    form = wish()

    first, second = hers.post(PAGE, form), hers.post(PAGE, form)

    assert first["Location"] == second["Location"]
    assert Job.objects.count() == 1


def fetched() -> list[str]:
    jobs = Job.objects.exclude(status="deleted").order_by("created_at")
    return [job.get_origin().url for job in jobs]


@pytest.mark.parametrize(
    "other", [{"url": f"{URL}&other"}, {"mode": "tab"}, {"title": "Mine"}]
)
def test_who_goes_back_and_changes_the_form_gets_another_film(hers, other):
    form = wish()
    first = hers.post(PAGE, form)

    second, again = hers.post(PAGE, form | other), hers.post(PAGE, form | other)

    assert first["Location"] != second["Location"] == again["Location"]
    assert hers.post(PAGE, form)["Location"] == first["Location"]
    assert fetched() == [URL, other.get("url", URL)]


def test_who_goes_back_after_deleting_the_film_has_it_fetched_again(hers):
    form = wish()
    first = hers.post(PAGE, form)
    ledger.delete(Job.objects.get().pk)

    second, again = hers.post(PAGE, form), hers.post(PAGE, form)

    assert first["Location"] != second["Location"] == again["Location"]
    assert hers.get(second["Location"]).status_code == 200
    assert fetched() == [URL]


def test_a_double_click_for_the_last_film_of_a_quota_is_one_film(hers, settings):
    settings.QUOTA_FILMS_AT_ONCE = 1
    form = wish()

    first, second = hers.post(PAGE, form), hers.post(PAGE, form)

    assert (first.status_code, second.status_code) == (303, 303)
    assert first["Location"] == second["Location"]


@pytest.mark.django_db(transaction=True)
def test_the_last_film_of_a_quota_asked_for_eight_times_at_once_is_one_film(
    alice, settings
):
    settings.QUOTA_FILMS_AT_ONCE = 1
    form = wish()

    def ask() -> str:
        client = Client()
        client.force_login(alice)
        return client.post(PAGE, form).get("Location", "refused")

    answers = at_once([ask] * 8)

    assert set(answers) == {f"/jobs/{Job.objects.get().pk}/"}


@pytest.mark.parametrize(
    ("wrong", "advice"),
    [
        ({"url": ""}, "Give the address of a film."),
        ({"url": "https://other.example/a"}, "films.example only"),
        ({"url": "file:///etc/passwd"}, "https://, http:// or s3://"),
        ({"mode": "hologram"}, "There is no such mode"),
    ],
)
def test_what_cannot_be_fetched_is_said_beside_what_was_typed(hers, wrong, advice):
    answer = hers.post(PAGE, wish(**wrong))

    assert answer.status_code == 422
    assert advice in answer.text
    assert not Job.objects.exists()


def test_who_asks_too_often_is_asked_to_wait(hers, alice):
    for _ in range(limits.CREATION.free):
        limits.count(limits.CREATION, alice.pk)

    answer = hers.post(PAGE, wish())

    assert answer.status_code == 429
    assert int(answer["Retry-After"]) > 0
    assert "too often" in answer.text


def test_where_nothing_may_be_fetched_there_is_no_page_and_that_is_said(hers, settings):
    assert 'href="/jobs/link/"' in hers.get("/jobs/new/").text
    settings.INGEST_HOSTS = []

    assert hers.get(PAGE).status_code == 404
    assert hers.post(PAGE, wish()).status_code == 404
    page = hers.get("/jobs/new/").text
    assert "not fetched from addresses here." in page
    assert "INGEST_HOSTS" not in page


def test_who_runs_the_site_learns_how_films_are_fetched(hers, alice, settings):
    settings.INGEST_HOSTS = []
    alice.is_staff = True
    alice.save()

    page = hers.get("/jobs/new/").text

    assert "here: <code>INGEST_HOSTS</code> turns that on." in page


def test_programs_name_a_link_in_place_of_a_file(alice):
    program = client_of(alice)

    made = create(program, {"link": URL, "mode": "tab"}, key="rain")
    again = create(program, {"link": URL, "mode": "tab"}, key="rain")

    assert (made.status_code, again.status_code) == (201, 200)
    assert made.json()["id"] == again.json()["id"]
    assert made.json()["status"] == "ingesting"
    assert made.json()["uploads"] == []


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"link": URL, "file": {"name": "a.mp4", "size": 1}},
        {"link": URL, "depth": {"name": "a.mkv", "size": 1}},
        {"link": "https://other.example/a.mp4"},
        {"link": "a" * 5000},
    ],
)
def test_programs_are_told_what_is_wrong_with_a_link(alice, body):
    refused = create(client_of(alice), body)

    assert refused.status_code == 422
    assert not Job.objects.exists()


def test_a_key_is_good_for_one_link(alice):
    program = client_of(alice)
    create(program, {"link": URL}, key="rain")

    assert create(program, {"link": f"{URL}2"}, key="rain").status_code == 422


@pytest.mark.parametrize("path", ["/jobs/new/", PAGE])
def test_its_words_have_typographic_apostrophes(hers, path):
    shown = hers.get(path).text.split("<main")[1]
    words = html.unescape(re.sub(r"<[^>]*>", "", shown))

    assert "’" in words
    assert "'" not in words


def test_blanks_around_a_link_do_not_make_it_another(alice):
    program = client_of(alice)
    body = {"link": f"  {URL}\n"}

    made, again = create(program, body, key="rain"), create(program, body, key="rain")

    assert (made.status_code, again.status_code) == (201, 200)
    assert made.json()["id"] == again.json()["id"]
