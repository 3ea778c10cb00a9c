"""Dead letters in the admin: shown as the text they are, sent again or discarded."""

from __future__ import annotations

from uuid import uuid4

import pytest
from django.contrib.auth.models import Permission, User
from django.urls import reverse
from django.utils.timezone import now

from apps.jobs import ledger
from apps.jobs.models import DeadLetter, Job
from apps.pipeline import dead_letters
from apps.pipeline.queues import QueueAwayError

LIST = "/admin/jobs/deadletter/"


@pytest.fixture
def dora(db) -> User:
    """Runs the machine."""
    return User.objects.create_superuser("dora")


@pytest.fixture
def letter(job) -> DeadLetter:
    return bury(job)


@pytest.fixture
def sent(monkeypatch) -> list[int]:
    """The letters that went out again."""
    ids: list[int] = []

    def redrive(letter_id: int) -> bool:
        changed = ledger.settle(letter_id, DeadLetter.Status.REDRIVEN)
        if changed:
            ids.append(letter_id)
        return changed

    monkeypatch.setattr(dead_letters, "redrive", redrive)
    return ids


def bury(job: Job | None = None, body: str = "noise") -> DeadLetter:
    return DeadLetter.objects.create(
        queue="gpu",
        message_id=str(uuid4()),
        body=body,
        task="infer",
        job=job,
        segment_index=2,
        deliveries=6,
        reason="unknown task '<i>x</i>'",
        sent_at=now(),
    )


def act(client, action: str, *letters: DeadLetter) -> str:
    chosen = {"action": action, "_selected_action": [one.pk for one in letters]}
    return client.post(LIST, chosen, follow=True).text


def test_it_lists_what_was_given_up_and_for_which_film(client, dora, job, letter):
    client.force_login(dora)

    page = client.get(LIST).text

    assert f'<a href="/admin/jobs/job/{job.pk}/change/">Rain</a>' in page
    assert "unknown task &#x27;&lt;i&gt;x&lt;/i&gt;&#x27;" in page
    assert "Waiting for a decision" in page


def test_the_films_own_page_shows_its_letters(client, dora, job, letter):
    client.force_login(dora)

    page = client.get(reverse("admin:jobs_job_change", args=[job.pk])).text

    assert f"/admin/jobs/deadletter/{letter.pk}/change/" in page


def test_a_message_is_shown_as_text_and_not_at_any_length(client, dora, job):
    letter = bury(body="<script>alert(1)</script>" + "x" * 1_000_000)
    client.force_login(dora)

    page = client.get(f"{LIST}{letter.pk}/change/").text

    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;xxx" in page
    assert " … and 996025 characters more" in page
    assert len(page) < 50_000


@pytest.mark.parametrize("search", ["{job.pk}", "{letter.message_id}", "rain", "7"])
def test_any_search_is_answered(client, dora, job, letter, search):
    client.force_login(dora)

    page = client.get(LIST, {"q": search.format(job=job, letter=letter)})

    assert page.status_code == 200


def test_redrive_sends_the_chosen_and_says_how_many(client, dora, letter, sent):
    other, settled = bury(), bury()
    ledger.settle(settled.pk, DeadLetter.Status.DISCARDED)
    client.force_login(dora)

    page = act(client, "redrive", letter, settled)

    assert sent == [letter.pk]
    assert "1 dead letter sent again; the others were settled before." in page
    other.refresh_from_db()
    assert other.status == DeadLetter.Status.WAITING


def test_discard_settles_the_chosen_and_says_how_many(client, dora, letter, sent):
    client.force_login(dora)

    assert "2 dead letters discarded" in act(client, "discard", letter, bury())
    assert "0 dead letters discarded" in act(client, "discard", letter)
    assert sent == []
    letter.refresh_from_db()
    assert letter.status == DeadLetter.Status.DISCARDED


def test_a_queue_that_is_away_is_told(client, dora, letter, monkeypatch):
    def away(letter_id: int) -> bool:
        raise QueueAwayError("The queue does not answer.")

    monkeypatch.setattr(dead_letters, "redrive", away)
    client.force_login(dora)

    page = act(client, "redrive", letter)

    assert "The queue does not answer." in page
    assert "0 dead letters sent again" in page


def test_it_only_looks(client, dora, letter):
    client.force_login(dora)
    change = f"{LIST}{letter.pk}/change/"

    assert 'name="_save"' not in client.get(change).text
    assert client.post(change, {"reason": "none"}).status_code == 403
    assert client.get(f"{LIST}add/").status_code == 403
    assert client.post(f"{LIST}{letter.pk}/delete/").status_code == 403


def test_who_may_only_look_has_no_actions(client, charlie, letter, sent):
    charlie.is_staff = True
    charlie.save()
    charlie.user_permissions.add(Permission.objects.get(codename="view_deadletter"))
    client.force_login(charlie)

    page = client.get(LIST).text
    act(client, "redrive", letter)
    act(client, "discard", letter)

    assert "infer" in page
    assert sent == []
    letter.refresh_from_db()
    assert letter.status == DeadLetter.Status.WAITING


@pytest.mark.parametrize("number", [10, 60])
def test_the_list_costs_the_same_for_many_letters(
    client, dora, job, number, django_assert_max_num_queries
):
    for _ in range(number):
        bury(job)
    client.force_login(dora)

    with django_assert_max_num_queries(8):
        client.get(LIST)
