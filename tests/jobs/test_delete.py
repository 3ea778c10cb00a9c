"""Delete: gone from sight at once, in any state, for its owner and for staff."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils.timezone import now

from apps.jobs import ledger, local
from apps.jobs.models import Job
from contract.modes import Engine, StereoMode, StereoSettings

# Each state with the columns that its constraints want.
OVER = {"notify_at": None, "finished_at": now()}
STATES = {
    "created": {"notify_at": None},
    "chunking_in_progress": {"lease_expires_at": now()},
    "chunking_complete": {},
    "reassembling": {"lease_expires_at": now()},
    "completed": OVER,
    "failed": {**OVER, "error_code": "internal", "error_message": "Something."},
    "cancelled": OVER,
}


@pytest.fixture
def staff(db) -> User:
    return User.objects.create_user("sam", is_staff=True)


@pytest.fixture
def tidied(monkeypatch) -> list[object]:
    """The jobs for which somebody was asked to tidy up."""
    job_ids: list[object] = []
    monkeypatch.setattr("apps.jobs.views.jobs.messages.send_tidy", job_ids.append)
    return job_ids


def put_into(job: Job, status: str) -> None:
    Job.objects.filter(pk=job.pk).update(status=status, **STATES[status])


def delete(client, job: Job):
    return client.post(reverse("job-delete", args=[job.pk]), follow=True)


@pytest.mark.parametrize("status", STATES)
def test_a_job_is_deleted_from_any_state(
    client, alice, job, tidied, status, django_capture_on_commit_callbacks
):
    put_into(job, status)
    client.force_login(alice)
    assert "Delete for good" in client.get(job.get_absolute_url()).text

    with django_capture_on_commit_callbacks(execute=True):
        response = delete(client, job)
        assert tidied == []

    assert response.redirect_chain == [("/", 303)]
    assert "“Rain” is deleted, and its files are being deleted." in response.text
    assert tidied == [job.pk]
    job.refresh_from_db()
    assert job.status == Job.Status.DELETED
    assert job.tidy_at is not None


@pytest.mark.parametrize("person", ["alice", "staff"])
@pytest.mark.parametrize("status", ["chunking_complete", "completed"])
def test_a_deleted_job_is_gone_from_every_page(
    client, alice, staff, job, person, status
):
    put_into(job, status)
    ledger.delete(job.pk)
    client.force_login({"alice": alice, "staff": staff}[person])

    for name in ("job", "job-progress", "job-final"):
        assert client.get(reverse(name, args=[job.pk])).status_code == 404
    for name in ("job-cancel", "job-retry", "job-delete"):
        assert client.post(reverse(name, args=[job.pk])).status_code == 404
    for state in ("", "active", "completed", "failed", "cancelled"):
        assert "Rain" not in client.get("/", {"state": state}).text
    assert "Rain" not in client.get("/", {"q": "rain"}).text


def test_staff_may_delete_the_job_of_another(client, staff, job, tidied):
    client.force_login(staff)

    delete(client, job)

    job.refresh_from_db()
    assert job.status == Job.Status.DELETED


def test_others_cannot_delete_it_nor_learn_of_it(client, charlie, job):
    client.force_login(charlie)

    assert delete(client, job).status_code == 404
    job.refresh_from_db()
    assert job.status == Job.Status.CHUNKED


def test_strangers_are_asked_to_sign_in_first(client, job):
    response = client.post(reverse("job-delete", args=[job.pk]))

    assert response.url.startswith(reverse("login"))
    job.refresh_from_db()
    assert job.status == Job.Status.CHUNKED


def test_deleting_wants_a_post_with_the_forms_own_token(alice, job):
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)
    url = reverse("job-delete", args=[job.pk])

    assert client.get(url).status_code == 405
    assert client.post(url).status_code == 403
    job.refresh_from_db()
    assert job.status == Job.Status.CHUNKED


def test_who_comes_second_is_told_so_and_nothing_is_asked_twice(
    client, alice, job, tidied, monkeypatch, django_capture_on_commit_callbacks
):
    """Two tabs at once: both saw the job, one deleted it."""
    client.force_login(alice)
    monkeypatch.setattr("apps.jobs.views.jobs.ledger.delete", lambda job_id: False)

    with django_capture_on_commit_callbacks(execute=True):
        response = delete(client, job)

    assert "“Rain” was deleted already." in response.text
    assert tidied == []


def test_a_queue_that_is_away_keeps_nobody_from_deleting(
    client, alice, job, monkeypatch, django_capture_on_commit_callbacks
):
    def refuse(job_id: object) -> None:
        raise ConnectionError

    monkeypatch.setattr("apps.jobs.views.jobs.messages.send_tidy", refuse)
    client.force_login(alice)

    with django_capture_on_commit_callbacks(execute=True):
        assert delete(client, job).status_code == 200

    job.refresh_from_db()
    assert job.status == Job.Status.DELETED


def test_a_title_is_only_text_in_the_notice(client, alice, job, tidied):
    Job.objects.filter(pk=job.pk).update(title="<b>Rain</b>")
    client.force_login(alice)

    assert "“&lt;b&gt;Rain&lt;/b&gt;” is deleted" in delete(client, job).text


def test_cancelling_asks_to_tidy_up(
    client, alice, job, tidied, django_capture_on_commit_callbacks
):
    client.force_login(alice)

    with django_capture_on_commit_callbacks(execute=True):
        client.post(reverse("job-cancel", args=[job.pk]))
        client.post(reverse("job-cancel", args=[job.pk]))

    assert tidied == [job.pk]


def test_the_same_command_after_a_delete_begins_a_new_job(db, tmp_path, monkeypatch):
    monkeypatch.setattr("apps.jobs.local.messages.send_stage", lambda job: None)
    source = tmp_path / "rain.mp4"
    source.write_bytes(b"film")
    request = local.Request(
        source, tmp_path, StereoMode.SBS, Engine.PREVIEW, StereoSettings()
    )
    first = local.begin(request)
    assert local.begin(request) == first

    ledger.delete(first.pk)

    assert local.begin(request) != first
