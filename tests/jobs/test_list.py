from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils.timezone import now

from apps.jobs import ledger
from apps.jobs.models import Job, Segment


def make(owner, number: int, **fields) -> list[Job]:
    """Jobs called Clip 0, Clip 1, …, each a second older than the one before."""
    jobs = [
        Job(owner=owner, title=f"Clip {index}", mode="sbs", **fields)
        for index in range(number)
    ]
    for index, job in enumerate(jobs):
        job.created_at = now() - timedelta(seconds=index)
    return Job.objects.bulk_create(jobs)


def failed(**fields) -> dict[str, object]:
    return {
        "status": "failed",
        "error_code": "internal",
        "finished_at": now(),
        **fields,
    }


def test_it_shows_how_far_a_job_is(client, alice, job):
    client.force_login(alice)

    page = client.get("/").text

    assert f'<a href="/jobs/{job.pk}/">Rain</a>' in page
    assert "Side by side" in page
    assert "Queued" in page
    assert ">1/3<" in page
    assert "so far" in page


def says(client, words: str) -> bool:
    """In the list, in the admin's, among what is stuck; and on the page's tab."""
    job = Job.objects.get()
    title = client.get(job.get_absolute_url()).text.split("</title>")[0]
    small = words.lower().replace("gpu", "GPU")
    on_tab = "33 % ·" if words == "Converting" else f"33 %, {small} ·"
    return (
        f"</span> {words}</span>" in client.get("/").text
        and f'field-state">{words}<' in client.get("/admin/jobs/job/").text
        and f"</span> {words}</span>" in client.get("/admin/fleet/").text
        and on_tab in title
    )


def test_a_job_converts_only_while_a_gpu_does(client, alice, job, monkeypatch):
    alice.is_staff = alice.is_superuser = True
    alice.save()
    client.force_login(alice)
    stuck = Job.objects.filter(pk=job.pk)
    monkeypatch.setattr("apps.jobs.admin.fleet.fleet.stuck_jobs", lambda: stuck)
    assert says(client, "Queued")

    segment = ledger.claim_segment(job.pk, 1)
    assert says(client, "Converting")

    asked = ledger.open_invocation(
        segment, backend="sagemaker", lasting=timedelta(hours=1)
    )
    assert says(client, "Waiting for a GPU")

    # It was put back meanwhile, and the GPU is waited for all the same.
    ledger.pause_segment(segment, seconds=60)
    assert says(client, "Waiting for a GPU")

    ledger.note_waiting(asked, is_waiting=False)
    assert says(client, "Queued")
    ledger.claim_segment(job.pk, 2)
    assert says(client, "Converting")


def test_a_job_that_no_worker_has_is_queued_in_the_list_too(client, alice, job):
    Job.objects.update(status="chunking_in_progress", lease_expires_at=None)
    client.force_login(alice)
    assert "</span> Queued</span>" in client.get("/").text

    Job.objects.update(lease_expires_at=now() + timedelta(minutes=1))

    assert "</span> Cutting into segments</span>" in client.get("/").text


def test_it_hides_the_jobs_of_others(client, charlie, job):
    client.force_login(charlie)

    page = client.get("/").text

    assert "Rain" not in page
    assert "No film has been converted yet" in page


def test_staff_sees_all_jobs_and_whose_they_are(client, charlie, job):
    charlie.is_staff = True
    charlie.save()
    client.force_login(charlie)

    page = client.get("/").text

    assert "Rain" in page
    assert '<td data-label="Owner">alice</td>' in page


def test_a_title_is_text(client, alice):
    Job.objects.create(owner=alice, title="<script>alert(1)</script>", mode="sbs")
    client.force_login(alice)

    assert "<script>alert" not in client.get("/").text


def test_it_filters_by_state(client, alice, job):
    make(alice, 1, **failed())
    client.force_login(alice)

    page = client.get("/?state=failed").text

    assert "Clip 0" in page
    assert "Rain" not in page
    assert 'aria-current="page">Failed' in page


@pytest.mark.parametrize(
    ("state", "words"),
    [("failed", "No failed jobs"), ("completed", "No completed jobs")],
)
def test_an_empty_state_leads_back_to_all(client, alice, job, state, words):
    client.force_login(alice)

    page = client.get(f"/?state={state}").text

    assert words in page
    assert "Show all" in page


def test_an_unknown_state_shows_all(client, alice, job):
    client.force_login(alice)

    assert "Rain" in client.get("/?state=nonsense").text


def test_it_searches_titles_and_keeps_the_state(client, alice, job):
    make(alice, 2)
    client.force_login(alice)

    page = client.get("/?q=rAI&state=active").text

    assert "Rain" in page
    assert "Clip" not in page
    assert '<input type="hidden" name="state" value="active">' in page


@pytest.mark.parametrize("search", ["100%", "snow", "a\0b", "'; --", "x" * 5000])
def test_a_search_without_a_hit_says_so(client, alice, job, search):
    client.force_login(alice)

    response = client.get("/", {"q": search})

    assert response.status_code == 200
    assert "in its title" in response.text


def test_pages_follow_one_another_without_gap_or_repetition(client, alice):
    jobs = make(alice, 60)
    # Half of them at the very same moment: the order must still be one.
    Job.objects.filter(pk__in=[job.pk for job in jobs[10:40]]).update(
        created_at=jobs[20].created_at
    )
    client.force_login(alice)

    seen: list[Job] = []
    url = "/"
    while url:
        context = client.get(url).context
        seen += [row.job for row in context["rows"]]
        older = context["older"]
        url = f"/?before={older.pk}" if older else ""

    assert len(seen) == 60
    assert seen == list(Job.objects.order_by("-created_at", "-id"))


@pytest.mark.parametrize("before", ["nonsense", "00000000-0000-0000-0000-000000000000"])
def test_a_page_after_nothing_is_the_first(client, alice, job, before):
    client.force_login(alice)

    assert "Rain" in client.get(f"/?before={before}").text


def test_another_persons_job_is_no_page_mark(client, charlie, job):
    make(charlie, 1)
    client.force_login(charlie)

    assert "Clip 0" in client.get(f"/?before={job.pk}").text


@pytest.mark.parametrize("number", [10, 60])
def test_it_costs_the_same_for_many_jobs(
    client, alice, frames, number, django_assert_num_queries
):
    jobs = make(alice, number)
    Segment.objects.bulk_create(
        Segment(job=job, index=index, frames={}, frame_count=1)
        for job in jobs
        for index in range(3)
    )
    client.force_login(alice)

    with django_assert_num_queries(4):  # session, person, jobs, segments done
        client.get("/")


def test_it_rejects_post(client, alice):
    client.force_login(alice)

    assert client.post("/").status_code == 405
