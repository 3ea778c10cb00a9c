from __future__ import annotations

import pytest
from django.urls import reverse

PAGES = ["job-list", "job-new", "programs"]
PAGES_OF_A_JOB = ["job", "job-final"]


@pytest.mark.parametrize("name", PAGES)
def test_strangers_are_sent_to_sign_in(client, name):
    url = reverse(name)

    response = client.get(url)

    assert response.status_code == 302
    assert response["Location"] == f"/login/?next={url}"


@pytest.mark.parametrize("name", PAGES_OF_A_JOB)
def test_strangers_do_not_learn_whether_a_job_exists(client, job, name):
    url = reverse(name, args=[job.pk])

    assert client.get(url)["Location"] == f"/login/?next={url}"


@pytest.mark.parametrize("name", ["job-cancel", "job-retry"])
def test_strangers_change_nothing(client, job, name):
    response = client.post(reverse(name, args=[job.pk]))

    assert response.status_code == 302
    job.refresh_from_db()
    assert job.status == "chunking_complete"


def test_a_page_that_polls_is_reloaded_when_the_session_ended(client, job):
    response = client.get(reverse("job-progress", args=[job.pk]))

    assert response["HX-Refresh"] == "true"
    assert response.text == ""


def test_signing_in_leads_to_where_one_wanted_to_go(client, alice):
    alice.set_password("correct horse")
    alice.save()
    known = {"username": "alice", "password": "correct horse"}

    response = client.post("/login/", {**known, "next": "/jobs/new/"})

    assert response["Location"] == "/jobs/new/"


def test_a_wrong_password_is_said_in_words(client, alice):
    response = client.post("/login/", {"username": "alice", "password": "wrong"})

    assert "do not go together" in response.text


def test_signing_out_wants_a_post_and_ends_the_session(client, alice):
    client.force_login(alice)

    assert client.get("/logout/").status_code == 405
    assert client.post("/logout/")["Location"] == "/login/"
    assert client.get("/").status_code == 302


def test_nothing_inline_and_nothing_of_third_parties_runs(client, alice):
    client.force_login(alice)

    response = client.get("/")

    policy = response["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in policy
    assert "<script>" not in response.text
    assert "style=" not in response.text


def test_a_missing_page_is_a_page_with_a_way_back(client, db):
    response = client.get("/nowhere/")

    assert response.status_code == 404
    assert "Content-Security-Policy" in response
    assert "Back to the jobs" in response.text


def test_our_mistake_is_a_page_with_a_way_back(client, alice, monkeypatch):
    def broken(*_):
        raise RuntimeError("broken")

    monkeypatch.setattr("apps.jobs.views.listing.visible_jobs", broken)
    client.force_login(alice)
    client.raise_request_exception = False

    response = client.get("/")

    assert response.status_code == 500
    assert "Back to the jobs" in response.text
    assert "broken" not in response.text


def test_a_form_without_its_token_is_a_page_with_a_way_back(alice, job):
    from django.test import Client

    strict = Client(enforce_csrf_checks=True)
    strict.force_login(alice)

    for url in (reverse("job-cancel", args=[job.pk]), reverse("job-new")):
        response = strict.post(url)
        assert response.status_code == 403
        assert "Nothing was changed" in response.text
