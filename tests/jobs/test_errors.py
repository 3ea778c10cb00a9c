"""An error is a page that says what happened, and leads back."""

from __future__ import annotations

import os

import pytest
from django.test import Client
from django.utils.timezone import now

from apps.jobs.models import Job

WAYS_BACK = 'href="/"'


def test_what_is_not_there(client, alice):
    client.force_login(alice)

    response = client.get("/nowhere/")

    assert response.status_code == 404
    assert "<h1>Not found</h1>" in response.text
    assert WAYS_BACK in response.text


def test_a_form_that_is_out_of_date(alice):
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)

    response = client.post("/logout/")

    assert response.status_code == 403
    assert "<h1>The form was out of date</h1>" in response.text
    assert WAYS_BACK in response.text


def test_more_than_a_form_may_have(client, alice, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100
    client.force_login(alice)

    response = client.post("/account/mail/", {"mail": "x" * 1000})

    assert response.status_code == 413
    assert "<h1>Too large</h1>" in response.text
    assert WAYS_BACK in response.text


def test_a_host_that_is_not_ours(client, db):
    response = client.get("/login/", headers={"host": "elsewhere.example"})

    assert response.status_code == 400
    assert "<h1>That request cannot be understood</h1>" in response.text


@pytest.fixture
def no_credentials(settings, monkeypatch, tmp_path) -> None:
    """The store is a bucket, and this machine may not ask for it."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    # A region of its own: clients are kept, with the credentials that they began with.
    options = {"bucket_name": "films", "region_name": "eu-north-1"}
    bucket = {"BACKEND": "apps.jobs.storage.Bucket", "OPTIONS": options}
    settings.STORAGES = settings.STORAGES | {"source": bucket, "result": bucket}


@pytest.mark.parametrize("page", ["/jobs/new/", "/jobs/{}/", "/jobs/{}/final/"])
def test_a_machine_without_credentials_is_said_to_its_operator(
    client, alice, no_credentials, page
):
    job = Job.objects.create(owner=alice, title="Rain", mode="sbs")
    if page.endswith("final/"):
        over = {"status": "completed", "total_segments": 1, "finished_at": now()}
        Job.objects.update(**over)
    client.force_login(alice)

    response = client.get(page.format(job.pk))

    assert response.status_code == 503
    assert "This machine has no credentials that AWS takes" in response.text
    assert "Whoever runs StereoSpot must act first" in response.text
    assert WAYS_BACK in response.text


@pytest.mark.parametrize("path", ["/", "/jobs/new/"])
def test_a_mistake_of_ours(alice, monkeypatch, path):
    client = Client(raise_request_exception=False)
    client.force_login(alice)

    def fail(*args: object, **options: object) -> None:
        raise RuntimeError("ours")

    monkeypatch.setattr("apps.jobs.views.listing.chosen", fail)
    monkeypatch.setattr("apps.jobs.forms.NewJobForm.__init__", fail)
    response = client.get(path)

    assert response.status_code == 500
    assert "<h1>Something went wrong</h1>" in response.text
    assert "RuntimeError" not in response.text
    assert WAYS_BACK in response.text
