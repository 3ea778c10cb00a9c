"""What every response says to browsers, whoever makes it."""

from __future__ import annotations

import re

import pytest
from django.conf import settings as ours
from django.test import Client, override_settings
from django.urls import reverse

from apps.jobs.models import Job

SCRIPT = "映画<script>alert(1)</script>&'\".mp4"
INLINE = re.compile(
    r"<script(?![^>]*\bsrc=)|\son\w+=|\sstyle=|<style|javascript:", re.I
)

EVERYWHERE = {
    "Content-Security-Policy": "default-src 'none'",
    "Permissions-Policy": "xr-spatial-tracking=(self)",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


@pytest.fixture
def sally(client, admin_user):
    """Staff, signed in."""
    client.force_login(admin_user)
    return admin_user


@pytest.mark.parametrize(
    "path", ["/", "/login/", "/nowhere/", "/jobs/new/", "/admin/", "/admin/jobs/job/"]
)
def test_every_answer_carries_the_headers(client, alice, path):
    for person in (None, alice):
        if person:
            client.force_login(person)
        response = client.get(path)
        for name, value in EVERYWHERE.items():
            assert value in response[name], (name, path)
        assert response["X-Frame-Options"] == "DENY"


def test_a_static_file_carries_them_too(db, tmp_path):
    (tmp_path / "film.svg").write_text("<svg/>")
    with override_settings(STATIC_ROOT=tmp_path, WHITENOISE_AUTOREFRESH=True):
        response = Client().get("/static/film.svg")

    assert b"".join(response) == b"<svg/>"
    assert response["Content-Security-Policy"].startswith("default-src 'none'")
    assert response["X-Content-Type-Options"] == "nosniff"


def test_our_own_mistake_carries_them(client, alice, monkeypatch):
    def broken(*_):
        raise RuntimeError("broken")

    monkeypatch.setattr("apps.jobs.views.listing.visible_jobs", broken)
    client.force_login(alice)
    client.raise_request_exception = False

    response = client.get("/")

    assert response.status_code == 500
    assert "Permissions-Policy" in response
    assert "Content-Security-Policy" in response


def test_cookies_are_neither_for_scripts_nor_for_other_sites(client, alice):
    alice.set_password("correct horse")
    alice.save()

    client.post("/login/", {"username": "alice", "password": "correct horse"})

    session = client.cookies[ours.SESSION_COOKIE_NAME]
    assert (session["httponly"], session["samesite"]) == (True, "Lax")
    assert client.cookies[ours.CSRF_COOKIE_NAME]["samesite"] == "Lax"


def test_a_film_named_like_a_script_keeps_its_name_and_runs_nowhere(
    client, sally, alice, job
):
    Job.objects.filter(pk=job.pk).update(title=SCRIPT)
    pages = [
        reverse("job-list"),
        reverse("job", args=[job.pk]),
        reverse("job-progress", args=[job.pk]),
        reverse("admin:jobs_job_changelist"),
        reverse("admin:jobs_job_change", args=[job.pk]),
        "/?q=" + "<script>alert(1)</script>",
    ]

    for page in pages:
        text = client.get(page).text
        assert "<script>alert" not in text, page
    for page in pages[:2] + pages[3:5]:
        assert "映画&lt;script&gt;alert(1)" in client.get(page).text, page


def test_the_admin_has_nothing_inline(client, sally, job):
    pages = [
        reverse("admin:index"),
        reverse("admin:jobs_job_changelist"),
        reverse("admin:jobs_job_change", args=[job.pk]),
        reverse("admin:jobs_account_add"),
        reverse("admin:auth_user_changelist"),
        reverse("admin:auth_user_add"),
        reverse("admin:auth_user_change", args=[sally.pk]),
        reverse("admin:auth_user_password_change", args=[sally.pk]),
        reverse("admin:password_change"),
    ]
    for page in pages:
        response = client.get(page)
        assert response.status_code == 200, page
        assert not INLINE.findall(response.text), page
