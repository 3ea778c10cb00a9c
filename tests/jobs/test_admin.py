from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import Permission, User
from django.db.models import ProtectedError
from django.urls import reverse

from apps.jobs import ledger
from apps.jobs.models import Job, Segment
from contract.errors import ErrorCode, StereoSpotError

LIST = "/admin/jobs/job/"


@pytest.fixture
def dora(db) -> User:
    """Runs the machine."""
    return User.objects.create_superuser("dora")


@pytest.fixture
def resent(monkeypatch) -> list[Job]:
    jobs: list[Job] = []
    monkeypatch.setattr("apps.jobs.admin.jobs.messages.send_retry", jobs.append)
    return jobs


@pytest.fixture
def tidied(monkeypatch) -> list[object]:
    """The jobs for which somebody was asked to tidy up."""
    job_ids: list[object] = []
    monkeypatch.setattr("apps.jobs.admin.jobs.messages.send_tidy", job_ids.append)
    return job_ids


def fail(job: Job) -> None:
    segment = ledger.claim_segment(job.pk, 1)
    ledger.fail_segment(segment, StereoSpotError(ErrorCode.DISK_FULL, "Free space."))


def act(client, action: str, *jobs: Job, **fields: str):
    chosen = {"action": action, "_selected_action": [str(job.pk) for job in jobs]}
    return client.post(LIST, chosen | fields, follow=True)


def test_it_lists_how_far_jobs_are(client, dora, job):
    client.force_login(dora)

    page = client.get(LIST).text

    assert "Rain" in page
    assert "1/3" in page


@pytest.mark.parametrize("term", ["{job.pk}", "rai", "alice"])
def test_it_finds_by_id_title_and_owner(client, dora, job, term):
    Job.objects.create(owner=dora, title="Snow", mode="sbs")
    client.force_login(dora)

    page = client.get(LIST, {"q": term.format(job=job)}).text

    assert "1 job" in page
    assert "Rain" in page


def test_a_term_that_is_no_id_finds_nothing(client, dora, job):
    client.force_login(dora)

    assert "0 jobs" in client.get(LIST, {"q": "snow"}).text


def test_it_only_looks(client, dora, job):
    client.force_login(dora)
    change = reverse("admin:jobs_job_change", args=[job.pk])

    page = client.get(change).text

    assert "Segments" in page
    assert "Events" in page
    assert 'name="_save"' not in page
    assert client.post(change, {"title": "Snow"}).status_code == 403
    assert client.get(f"{LIST}add/").status_code == 403
    assert client.post(f"{LIST}{job.pk}/delete/", {"post": "yes"}).status_code == 403
    assert "delete_selected" not in client.get(LIST).text


def test_retry_goes_through_the_ledger_and_says_how_many(
    client, dora, job, alice, resent, django_capture_on_commit_callbacks
):
    fail(job)
    waiting = Job.objects.create(owner=alice, title="Snow", mode="sbs")
    client.force_login(dora)

    with django_capture_on_commit_callbacks(execute=True):
        response = act(client, "retry", job, waiting)
        assert resent == []

    assert resent == [job]
    assert "1 job retried" in response.text
    job.refresh_from_db()
    assert job.status == Job.Status.CHUNKED


def test_retry_tells_of_a_store_that_is_away(client, dora, job, resent, monkeypatch):
    def refuse(job_id: object) -> Job:
        raise StereoSpotError(ErrorCode.STORAGE, "The bucket did not answer.")

    monkeypatch.setattr("apps.jobs.admin.jobs.retrying.retry", refuse)
    client.force_login(dora)

    page = act(client, "retry", job).text

    assert f"Job {job.pk}: The bucket did not answer." in page
    assert "0 jobs retried" in page


def test_cancel_goes_through_the_ledger_and_says_how_many(
    client, dora, job, alice, tidied, django_capture_on_commit_callbacks
):
    waiting = Job.objects.create(owner=alice, title="Snow", mode="sbs")
    client.force_login(dora)

    with django_capture_on_commit_callbacks(execute=True):
        response = act(client, "cancel", job, waiting)
        assert tidied == []

    assert set(tidied) == {job.pk, waiting.pk}
    assert "2 jobs cancelled" in response.text
    assert set(Job.objects.values_list("status", flat=True)) == {"cancelled"}
    assert job.events.get().kind == "cancelled"


def test_delete_asks_first_and_names_what_would_go(client, dora, job):
    client.force_login(dora)

    page = act(client, "delete", job).text

    assert "Rain · alice · Converting" in page
    assert f'name="_selected_action" value="{job.pk}"' in page
    job.refresh_from_db()
    assert job.status == Job.Status.CHUNKED


def test_delete_goes_through_the_ledger_and_says_how_many(
    client, dora, job, alice, tidied, django_capture_on_commit_callbacks
):
    gone = Job.objects.create(owner=alice, title="Snow", mode="sbs")
    ledger.delete(gone.pk)
    client.force_login(dora)

    with django_capture_on_commit_callbacks(execute=True):
        page = act(client, "delete", job, gone, confirmed="yes").text
        assert tidied == []

    assert "1 job deleted, and their files are being deleted" in page
    assert tidied == [job.pk]
    job.refresh_from_db()
    assert job.status == Job.Status.DELETED


def test_a_deleted_job_is_still_shown_with_its_state(client, dora, job):
    ledger.delete(job.pk)
    client.force_login(dora)

    assert "Rain" in client.get(LIST).text
    assert '<td class="field-state">Deleted</td>' in client.get(LIST).text
    change = client.get(reverse("admin:jobs_job_change", args=[job.pk]))
    assert "Deleted" in change.text


@pytest.mark.parametrize("is_deleted", [False, True])
def test_a_person_with_films_is_not_deleted(client, dora, alice, job, is_deleted):
    if is_deleted:
        ledger.delete(job.pk)
    client.force_login(dora)
    url = reverse("admin:auth_user_delete", args=[alice.pk])

    page = client.get(url).text
    assert "Cannot delete user" in page
    assert "<li>job</li>" in page
    client.post(url, {"post": "yes"})
    with pytest.raises(ProtectedError):
        alice.delete()

    assert User.objects.filter(pk=alice.pk).exists()
    assert Job.objects.filter(pk=job.pk).exists()


def test_an_action_that_changes_nothing_says_so(client, dora, job, resent):
    client.force_login(dora)

    assert "0 jobs retried" in act(client, "retry", job).text
    assert resent == []


def test_who_may_only_look_has_no_actions(client, charlie, job):
    charlie.is_staff = True
    charlie.save()
    charlie.user_permissions.add(Permission.objects.get(codename="view_job"))
    client.force_login(charlie)

    page = client.get(LIST).text
    act(client, "cancel", job)
    act(client, "delete", job, confirmed="yes")

    assert "Rain" in page
    assert "_selected_action" not in page
    job.refresh_from_db()
    assert job.status == Job.Status.CHUNKED


def test_people_without_a_key_stay_outside(client, alice, job):
    client.force_login(alice)

    assert client.get(LIST).status_code == 302


@pytest.mark.parametrize("number", [10, 60])
def test_the_list_costs_the_same_for_many_jobs(
    client, dora, alice, number, django_assert_max_num_queries
):
    Job.objects.bulk_create(
        Job(owner=alice, title=f"Clip {index}", mode="sbs") for index in range(number)
    )
    client.force_login(dora)

    with django_assert_max_num_queries(8):
        client.get(LIST)


@pytest.mark.parametrize("number", [3, 300])
def test_a_job_costs_the_same_for_many_segments(
    client, dora, job, number, django_assert_max_num_queries
):
    Segment.objects.all().delete()
    Segment.objects.bulk_create(
        Segment(job=job, index=index, frames={}, frame_count=1)
        for index in range(number)
    )
    client.force_login(dora)

    url = reverse("admin:jobs_job_change", args=[job.pk])
    client.get(url)  # the kinds of rows are looked up once a process

    with django_assert_max_num_queries(9):
        client.get(url)


def test_times_are_said_to_be_utc_and_have_24_hours(client, dora, job):
    Job.objects.update(created_at=datetime(2026, 3, 1, 21, 5, tzinfo=UTC))
    client.force_login(dora)

    assert "1 Mar 2026 21:05 UTC" in client.get(LIST).text
