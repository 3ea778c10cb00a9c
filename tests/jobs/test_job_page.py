from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import pytest
from django.urls import reverse
from django.utils.timezone import now

from apps.jobs import ledger, storage
from apps.jobs.estimates import Range
from apps.jobs.models import Event, Invocation, Job, Segment
from apps.jobs.views.progress import Progress
from contract.errors import Blame, ErrorCode, StereoSpotError
from tests.jobs.test_estimates import waited


@pytest.fixture
def url(job) -> str:
    return reverse("job", args=[job.pk])


@pytest.fixture
def polled(job) -> str:
    return reverse("job-progress", args=[job.pk])


@pytest.fixture
def resent(monkeypatch) -> list[Job]:
    """The jobs that were sent on after a retry."""
    jobs: list[Job] = []
    monkeypatch.setattr("apps.jobs.views.jobs.messages.send_retry", jobs.append)
    return jobs


@pytest.fixture
def failed(job) -> Job:
    """Alice's job, whose second segment is of no use."""
    segment = ledger.claim_segment(job.pk, 1)
    error = StereoSpotError(ErrorCode.DISK_FULL, "The disk is full: free space on it.")
    ledger.fail_segment(segment, error)
    job.refresh_from_db()
    return job


@pytest.fixture
def completed(job, tmp_path) -> Job:
    """Alice's job, with its final in the store."""
    for index in (1, 2):
        segment = ledger.claim_segment(job.pk, index)
        ledger.finish_segment(segment, seconds=9.0, version="preview")
    ledger.finish_concat(ledger.claim_stage(job.pk, Job.Status.REASSEMBLING))
    film = tmp_path / "final.mp4"
    film.write_bytes(b"x" * 2_300_000)
    storage.result().put(job.final_key, film)
    job.refresh_from_db()
    return job


def steps(job: Job) -> list[tuple[str, str, str]]:
    return [(step.name, step.state, step.detail) for step in Progress.of(job).steps]


def test_it_shows_the_way_and_where_the_film_is_on_it(client, alice, job, url):
    client.force_login(alice)

    page = client.get(url).text

    assert "<h1>Rain</h1>" in page
    assert page.count('aria-current="step"') == 1
    assert "Convert 1/3" in page
    assert "Queued, 1 of 3 segments done." in page


def test_every_segment_has_a_cell_that_says_its_state(client, alice, url):
    client.force_login(alice)

    page = client.get(url).text

    assert page.count('title="Segment ') == 3
    assert 'title="Segment 1: done"' in page
    assert 'title="Segment 3: queued"' in page


def test_others_do_not_learn_of_the_job(client, charlie, job):
    client.force_login(charlie)

    for name in ("job", "job-progress", "job-segments", "job-final"):
        assert client.get(reverse(name, args=[job.pk])).status_code == 404
    for name in ("job-cancel", "job-retry"):
        assert client.post(reverse(name, args=[job.pk])).status_code == 404
    job.refresh_from_db()
    assert job.status == Job.Status.CHUNKED


def test_staff_sees_the_job_and_whose_it_is(client, charlie, url):
    charlie.is_staff = True
    charlie.save()
    client.force_login(charlie)

    assert "· alice" in client.get(url).text


@pytest.mark.parametrize("name", ["job", "job-progress", "job-final"])
def test_looking_changes_nothing_and_so_is_no_post(client, alice, job, name):
    client.force_login(alice)

    assert client.post(reverse(name, args=[job.pk])).status_code == 405


@pytest.mark.parametrize("name", ["job-cancel", "job-retry"])
def test_changing_wants_a_post(client, alice, job, name):
    client.force_login(alice)

    assert client.get(reverse(name, args=[job.pk])).status_code == 405


def test_it_polls_while_the_job_runs(client, alice, url, polled):
    client.force_login(alice)

    for address in (url, polled):
        page = client.get(address).text
        assert f'hx-get="{polled}?seen=' in page
        assert 'hx-trigger="every 2s"' in page
        assert "[" not in page.split("hx-trigger=")[1].split(">")[0]  # needs no eval


def test_what_has_not_changed_is_not_sent_again(client, alice, job, polled):
    client.force_login(alice)
    fragment = client.get(polled).text
    seen = fragment.split("?seen=")[1].split('"')[0]

    assert client.get(polled, {"seen": seen}).status_code == 204
    ledger.claim_segment(job.pk, 1)
    changed = client.get(polled, {"seen": seen})

    assert changed.status_code == 200
    assert "Segment 2: converting" in changed.text
    assert f"?seen={seen}" not in changed.text


def test_what_takes_the_focus_is_not_in_the_polled_part(client, alice, url, polled):
    client.force_login(alice)

    whole, fragment = client.get(url).text, client.get(polled).text

    shown = fragment.split("<template>")[0] + fragment.split("</template>")[1]
    assert "<a " in fragment  # the cells, which job.js carries over
    assert not any(f"<{tag}" in shown for tag in ("a", "button", "input", "details"))
    assert "<template>" not in whole


def test_a_cell_leads_to_the_row_of_its_segment(client, alice, failed, url):
    client.force_login(alice)
    cell = f"/jobs/{failed.pk}/segments/?first=2#segment-2"
    assert f'href="{cell}" title="Segment 2: failed"' in client.get(url).text

    page = client.get(cell).text

    row = page.split('id="segment-2"')[1].split("</tr>")[0]
    assert "The disk is full: free space on it." in row
    assert "disk-full" in row
    assert 'data-label="Attempt" class="number">1<' in row
    assert ">9 s<" in page.split('id="segment-1"')[1].split("</tr>")[0]


def test_rows_come_a_hundred_at_a_time(client, alice, job):
    Segment.objects.all().delete()
    Segment.objects.bulk_create(
        Segment(job=job, index=index, frames={}, frame_count=1) for index in range(250)
    )
    Job.objects.update(total_segments=250)
    client.force_login(alice)
    rows = reverse("job-segments", args=[job.pk])

    for first, expected in {"1": 1, "150": 101, "250": 201, "999": 201, "x": 1}.items():
        page = client.get(rows, {"first": first})
        assert page.context["rows"][0]["number"] == expected
    assert 'rel="next"' not in client.get(rows, {"first": "250"}).text


def test_a_segment_that_waits_for_a_gpu_says_so(client, alice, job, url):
    segment = ledger.claim_segment(job.pk, 1)
    Invocation.objects.create(
        job=job,
        segment=segment,
        segment_index=1,
        attempt=1,
        backend="sagemaker",
        inference_id="x",
        expires_at=now(),
        is_waiting=True,
    )
    client.force_login(alice)

    page = client.get(url).text

    assert "Segment 2: waiting for a GPU" in page
    assert "Segment 3: queued" in page
    assert "Waiting for a GPU, 1 of 3 segments done." in page
    assert "lately took" not in page

    waited(job, 500, 540, 9999)
    assert "Where none was free, that lately took about 9 min." in client.get(url).text


def test_it_stops_polling_when_the_job_is_over(client, alice, job, url, polled):
    ledger.cancel(job.pk)
    client.force_login(alice)

    fragment, page = client.get(polled), client.get(url)

    assert "hx-trigger" not in fragment.text
    assert fragment["HX-Refresh"] == "true"  # other buttons, maybe a film
    assert "hx-trigger" not in page.text
    assert "htmx" not in page.text
    assert "HX-Refresh" not in page


def test_what_is_said_aloud_changes_ten_times_at_most(job):
    Segment.objects.all().delete()
    rows = [Segment(job=job, index=i, frames={}, frame_count=1) for i in range(97)]
    Segment.objects.bulk_create(rows)
    job.total_segments = 97

    said = set()
    for index in range(97):
        Segment.objects.filter(job=job, index=index).update(status="done", seconds=1)
        said.add(Progress.of(job).announcement)

    assert 2 < len(said) <= 10


def test_nothing_is_estimated_before_three_segments_are_done(client, alice, job, url):
    ledger.claim_segment(job.pk, 1)
    client.force_login(alice)

    assert Progress.of(job).estimate is None
    assert "Estimating…" in client.get(url).text


def test_the_estimate_is_the_median_times_what_remains_by_what_runs(job):
    Segment.objects.all().delete()
    rows = [Segment(job=job, index=i, frames={}, frame_count=1) for i in range(20)]
    Segment.objects.bulk_create(rows)
    for index, seconds in enumerate([10, 10, 10, 500]):
        ledger.finish_segment(
            ledger.claim_segment(job.pk, index), seconds=seconds, version=""
        )
    for index in (4, 5):
        ledger.claim_segment(job.pk, index)
    job.refresh_from_db()

    assert Progress.of(job).estimate == Range(10 * 16 / 2, 10 * 16 / 2)


@pytest.mark.parametrize(
    ("number", "cells"), [(3, 3), (300, 300), (301, 151), (1000, 250)]
)
def test_the_strip_has_300_cells_at_most(job, number, cells):
    Segment.objects.all().delete()
    Segment.objects.bulk_create(
        Segment(job=job, index=index, frames={}, frame_count=1)
        for index in range(number)
    )

    strip = Progress.of(job).cells

    assert len(strip) == cells
    assert (strip[0].first, strip[-1].last) == (1, number)
    assert all(b.first == a.last + 1 for a, b in pairwise(strip))


def test_a_cell_of_many_shows_the_failed_one(job):
    Segment.objects.all().delete()
    Segment.objects.bulk_create(
        Segment(job=job, index=index, frames={}, frame_count=1) for index in range(900)
    )
    Segment.objects.filter(index=4).update(status="failed")

    cell = Progress.of(job).cells[1]

    assert cell.label == "Segments 4 to 6: failed"


def test_waiting_and_working_are_different_words(alice):
    job = Job.objects.create(owner=alice, title="Rain", mode="sbs")
    assert Progress.of(job).sentence == "Waiting for the film."

    ledger.start(job.pk)
    job.refresh_from_db()
    assert Progress.of(job).sentence == "Queued: no worker has it yet."

    job = ledger.claim_stage(job.pk, Job.Status.CHUNKING)
    assert Progress.of(job).sentence == "Cutting into segments."
    assert steps(job)[:2] == [("Upload", "done", ""), ("Cut", "current", "")]


def test_durations_leave_out_the_time_spent_failed(job):
    begun = job.started_at = now() - timedelta(hours=1)
    happened = [("chunked", 10), ("failed", 20), ("retried", 1000), ("converted", 1030)]
    for kind, second in happened:
        Event.objects.create(job=job, kind=kind, at=begun + timedelta(seconds=second))

    seconds = {step.name: step.seconds for step in Progress.of(job).steps}

    assert seconds == {
        "Upload": None,
        "Cut": 10.0,
        "Convert": 30.0,
        "Join": None,
        "Done": None,
    }


def test_the_log_has_the_newest_first_and_escapes_what_it_quotes(
    client, alice, job, url
):
    Event.objects.create(job=job, kind="started")
    Event.objects.create(
        job=job, kind="attempt-failed", detail="<b>bad</b>", segment_index=1
    )
    client.force_login(alice)

    log = client.get(url).text.split('<ol class="log">')[1]

    assert log.index("An attempt failed, segment 2") < log.index("Uploaded")
    assert "&lt;b&gt;bad" in log
    assert '<time datetime="' in log


def test_a_failure_says_what_to_do_and_what_to_report(client, alice, failed, url):
    client.force_login(alice)

    page = client.get(url).text

    assert "The disk is full: free space on it." in page
    assert "Whoever runs StereoSpot must act first" in page
    assert f"disk-full · segment 2 · attempt 1 · job {failed.pk}" in page
    assert page.index("What went wrong") < page.index("The way of the film")
    assert "Traceback" not in page
    assert ("Convert", "stopped", "1/3") in steps(failed)


def test_a_failed_job_goes_on_when_asked(
    client, alice, failed, url, resent, django_capture_on_commit_callbacks
):
    client.force_login(alice)
    assert "Retry</button>" in client.get(url).text

    with django_capture_on_commit_callbacks(execute=True):
        response = client.post(reverse("job-retry", args=[failed.pk]), follow=True)
        assert resent == []

    assert resent == [failed]
    assert response.redirect_chain == [(url, 303)]
    assert "The job goes on from what is done." in response.text
    failed.refresh_from_db()
    assert failed.status == Job.Status.CHUNKED


OF_THE_PERSON = [code for code in ErrorCode if code.blame is Blame.USER]
OTHER_ADVICE = {
    ErrorCode.MINUTES_USED_UP: "Retry then: nothing has to be uploaded again.",
    ErrorCode.TOO_MANY_FILMS: "Then retry: nothing has to be uploaded again.",
    ErrorCode.SOURCE_MISSING: "Upload it in a new job.",
    ErrorCode.UPLOAD_INCOMPLETE: "Upload it in a new job.",
    ErrorCode.UPLOAD_OVER: "Upload it in a new job.",
    ErrorCode.LINK_REFUSED: "Give another address, or upload the film.",
    ErrorCode.DEPTH_UNUSABLE: "with another depth video or none.",
}


@pytest.mark.parametrize("code", OF_THE_PERSON)
def test_a_retry_is_only_offered_where_it_can_help(client, alice, failed, url, code):
    Job.objects.update(error_code=code)
    client.force_login(alice)

    page = client.get(url).text

    assert OTHER_ADVICE.get(code, "convert another one.") in page
    helps = code in (ErrorCode.MINUTES_USED_UP, ErrorCode.TOO_MANY_FILMS)
    assert ("Retry</button>" in page) is helps


def test_a_film_from_an_address_is_fetched_again(client, alice, failed, url):
    Job.objects.update(
        error_code=ErrorCode.SOURCE_MISSING,
        origin={"kind": "link", "url": "https://example.com/film.mp4"},
    )
    client.force_login(alice)

    page = client.get(url).text

    assert "Retry: the film is fetched again." in page
    assert "Retry</button>" in page


def test_a_refusal_looks_and_is_read_as_one(client, alice, failed, monkeypatch):
    def refuse(job_id: object, by: object) -> None:
        raise StereoSpotError(ErrorCode.STORAGE, "The store does not answer.")

    monkeypatch.setattr("apps.jobs.views.jobs.retrying.retry", refuse)
    client.force_login(alice)

    page = client.post(reverse("job-retry", args=[failed.pk]), follow=True).text

    said = '<p class="notice error" role="alert">The store does not answer.</p>'
    assert said in page


def test_the_page_one_is_on_is_marked_in_the_nav(client, alice, url):
    client.force_login(alice)

    for path in ("/", "/jobs/new/", "/account/", "/account/api/"):
        header = client.get(path).text.split("</header>")[0]
        assert header.count('aria-current="page"') == 1
        assert f'href="{path}" aria-current="page"' in header
    header = client.get(url).text.split("</header>")[0]
    assert "aria-current" not in header


def test_asking_twice_sends_it_once(
    client, alice, failed, resent, django_capture_on_commit_callbacks
):
    client.force_login(alice)

    with django_capture_on_commit_callbacks(execute=True):
        client.post(reverse("job-retry", args=[failed.pk]))
        response = client.post(reverse("job-retry", args=[failed.pk]), follow=True)

    assert len(resent) == 1
    assert "nothing to retry" in response.text


def test_a_running_job_is_cancelled_when_asked(client, alice, job, url):
    client.force_login(alice)
    page = client.get(url).text
    # A click alone opens the question.
    assert "Cancel</summary>" in page
    assert "it cannot be gone on with" in page

    response = client.post(reverse("job-cancel", args=[job.pk]), follow=True)

    assert response.redirect_chain == [(url, 303)]
    assert "The job is cancelled." in response.text
    assert "Cancel</summary>" not in response.text
    assert "Cancelled: " in response.text
    assert "convert the film anew</a> to have it." in response.text
    job.refresh_from_db()
    assert job.status == Job.Status.CANCELLED


def test_a_job_that_is_over_is_not_cancelled(client, alice, completed):
    client.force_login(alice)

    response = client.post(reverse("job-cancel", args=[completed.pk]), follow=True)

    assert "nothing to cancel" in response.text


def test_a_completed_job_shows_the_film(client, alice, completed, url):
    client.force_login(alice)

    page = client.get(url).text

    final = reverse("job-final", args=[completed.pk])
    assert f'<video controls playsinline preload="metadata" src="{final}"' in page
    assert f'href="{final}?download=1">Download (2 MB)' in page
    assert "Completed." in page
    assert {state for _, state, _ in steps(completed)} == {"done"}


def test_a_film_that_is_gone_is_not_offered(client, alice, completed, url):
    storage.result().delete(completed.final_key)
    client.force_login(alice)

    page = client.get(url).text

    assert "<video" not in page
    assert "not in the store any more" in page


@pytest.mark.parametrize("number", [3, 300])
def test_it_costs_the_same_for_many_segments(
    client, alice, job, polled, number, django_assert_num_queries
):
    Segment.objects.all().delete()
    Segment.objects.bulk_create(
        Segment(job=job, index=index, frames={}, frame_count=1)
        for index in range(number)
    )
    client.force_login(alice)

    # Session, person, job, segments, milestones, log.
    with django_assert_num_queries(6):
        client.get(polled)
