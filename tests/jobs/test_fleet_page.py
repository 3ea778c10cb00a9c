"""Who runs the machine sees in one look what waits, and whether anybody works."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils.timezone import now

from apps.jobs import ledger
from apps.jobs.models import DeadLetter, Job
from apps.pipeline import queues as sqs

FLEET = "/admin/fleet/"


@pytest.fixture
def dora(db) -> User:
    """Runs the machine."""
    return User.objects.create_user("dora", is_staff=True)


def test_it_shows_queues_and_that_nobody_works(client, dora):
    client.force_login(dora)

    page = client.get(FLEET).text

    for name in ("media", "gpu", "control"):
        assert f'<h3 id="queue-{name}">{name}</h3>' in page
    assert "No worker lives" in page


def test_it_says_when_sqs_does_not_answer(client, dora, monkeypatch):
    def refuse() -> None:
        raise sqs.QueueAwayError("gone")

    monkeypatch.setattr(sqs, "queues", refuse)
    client.force_login(dora)

    assert "SQS does not answer" in client.get(FLEET).text


def test_dead_letters_lead_to_where_they_are_decided_on(client, dora):
    DeadLetter.objects.create(
        queue="gpu", message_id="1", body="{}", deliveries=6, reason="x", sent_at=now()
    )
    User.objects.filter(pk=dora.pk).update(is_superuser=True)
    client.force_login(dora)

    page = client.get(FLEET).text
    link = page.split("1 to decide on")[0].rsplit('href="', 1)[1].split('"')[0]

    assert "1 dead letter" in client.get(link.replace("&amp;", "&")).text


def test_a_job_that_is_stuck_is_named(client, dora, job):
    long_ago = now() - timedelta(hours=3)
    Job.objects.update(started_at=long_ago)
    job.segments.filter(status="done").update(finished_at=long_ago)
    client.force_login(dora)

    assert f"/admin/jobs/job/{job.pk}/change/" in client.get(FLEET).text


def test_it_tells_what_the_gpu_does(client, dora, job):
    ledger.claim_segment(job.pk, 1)
    client.force_login(dora)

    page = client.get(FLEET).text

    assert "Segments in hand</dt><dd>1<" in page


def test_links_to_logs_and_cost_are_there_when_they_are_configured(
    client, dora, job, settings
):
    User.objects.filter(pk=dora.pk).update(is_superuser=True)
    client.force_login(dora)
    assert "Cost" not in client.get(FLEET).text

    settings.COST_URL = "https://cost.example/"
    settings.LOGS_URL = "https://logs.example/?job={job}"

    assert 'href="https://cost.example/"' in client.get(FLEET).text
    change = client.get(f"/admin/jobs/job/{job.pk}/change/").text
    assert f'href="https://logs.example/?job={job.pk}"' in change


def test_people_do_not_see_the_fleet(client, alice):
    client.force_login(alice)

    assert client.get(FLEET).status_code == 302
    assert FLEET not in client.get("/").text


def test_the_admin_leads_to_the_fleet(client, dora):
    client.force_login(dora)

    assert FLEET in client.get("/admin/").text
    assert client.post(FLEET).status_code == 405
