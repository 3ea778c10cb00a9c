"""The API: who may ask, what is answered, and how a refusal looks."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils.timezone import now

from apps.jobs import ledger, tokens
from apps.jobs.models import ApiToken, Event, Job, Segment
from contract.errors import ErrorCode, StereoSpotError

JOBS = "/api/v1/jobs"
USERS = StereoSpotError(ErrorCode.NOT_A_VIDEO, "This is a text file.")


def client_of(user: User, **options: Any) -> Client:
    _, token = tokens.make(user, "test", None)
    return Client(headers={"Authorization": f"Bearer {token}"}, **options)


@pytest.fixture
def hers(alice) -> Client:
    return client_of(alice)


@pytest.fixture(autouse=True)
def sent(monkeypatch) -> list[str]:
    """What workers were asked for."""
    sent: list[str] = []
    monkeypatch.setattr(
        "apps.pipeline.messages.send_tidy", lambda job: sent.append("tidy")
    )
    monkeypatch.setattr(
        "apps.pipeline.messages.send_retry", lambda job: sent.append("retry")
    )
    return sent


def put_into(job: Job, status: str) -> None:
    over = status in ("completed", "failed", "cancelled")
    Job.objects.filter(pk=job.pk).update(
        status=status,
        finished_at=now() if over else None,
        notify_at=None if over or status == "created" else now(),
        error_code="not-a-video" if status == "failed" else "",
        error_message="This is a text file." if status == "failed" else "",
    )


def refused(response: Any, status: int, code: str) -> dict[str, Any]:
    """The problem, in the one shape that all have."""
    assert response["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert (response.status_code, body["status"], body["code"]) == (
        status,
        status,
        code,
    )
    assert body["who_must_act"]
    assert body["detail"]
    return body


# --- Who may ask ------------------------------------------------------------------


@pytest.mark.parametrize(
    "header", [None, "Bearer", "Bearer stereospot_", "Basic YTpi", "Bearer ☃"]
)
def test_without_a_token_nothing_is_said(client, db, header):
    headers = {"Authorization": header} if header else {}

    response = client.get(JOBS, headers=headers)

    refused(response, 401, "unauthenticated")
    assert response["WWW-Authenticate"] == "Bearer"


def test_a_session_is_no_token(client, alice, job):
    client.force_login(alice)

    refused(client.delete(f"{JOBS}/{job.pk}"), 401, "unauthenticated")


def test_an_expired_token_is_none(alice):
    _, token = tokens.make(alice, "old", now() - timedelta(seconds=1))

    assert tokens.owner_of(token) is None


def test_a_token_ends_with_the_account(alice):
    _, token = tokens.make(alice, "hers", None)
    User.objects.update(is_active=False)

    assert tokens.owner_of(token) is None


def test_of_a_token_only_a_digest_is_kept(alice):
    row, token = tokens.make(alice, "hers", None)

    kept = " ".join(str(value) for value in ApiToken.objects.values_list()[0])
    assert token not in kept
    assert token.startswith(row.hint)
    assert len(row.hint) < len(token) / 2


def test_a_mistyped_token_is_known_without_asking_the_database(
    alice, django_assert_num_queries
):
    _, token = tokens.make(alice, "hers", None)
    mistyped = token[:-1] + ("a" if token[-1] != "a" else "b")

    with django_assert_num_queries(0):
        assert tokens.owner_of(mistyped) is None


def test_when_a_token_was_used_is_noted_once_a_minute(alice, django_assert_num_queries):
    _, token = tokens.make(alice, "hers", None)

    tokens.owner_of(token)

    assert ApiToken.objects.get().last_used_at is not None
    with django_assert_num_queries(1):
        tokens.owner_of(token)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("get", ""),
        ("get", "/events"),
        ("get", "/result"),
        ("post", "/cancel"),
        ("post", "/retry"),
        ("delete", ""),
    ],
)
def test_a_job_of_somebody_else_does_not_exist(charlie, job, method, path):
    ask = getattr(client_of(charlie), method)

    refused(ask(f"{JOBS}/{job.pk}{path}"), 404, "not-found")

    job.refresh_from_db()
    assert job.status == Job.Status.CHUNKED


def test_staff_sees_everybodys_jobs(job, db):
    sam = client_of(User.objects.create_user("sam", is_staff=True))

    assert sam.get(f"{JOBS}/{job.pk}").json()["owner"] == "alice"
    assert len(sam.get(JOBS).json()["jobs"]) == 1


# --- Listing ----------------------------------------------------------------------


def make_jobs(owner: User, number: int) -> None:
    for index in range(number):
        Job.objects.create(owner=owner, title=f"Film {index}", mode="sbs")


def test_pages_of_jobs_hold_each_job_once_even_while_some_are_deleted(alice, hers):
    make_jobs(alice, 7)
    seen, after = [], ""

    while True:
        page = hers.get(JOBS, {"limit": 3, "after": after}).json()
        seen += [job["title"] for job in page["jobs"]]
        # The very job at which the page ended.
        ledger.delete(page["jobs"][-1]["id"])
        if page["next"] is None:
            break
        after = page["next"]

    assert seen == [f"Film {index}" for index in reversed(range(7))]


def test_jobs_are_found_by_state_and_by_title(alice, hers, job):
    make_jobs(alice, 2)
    put_into(job, "failed")

    assert [j["title"] for j in hers.get(JOBS, {"state": "failed"}).json()["jobs"]] == [
        "Rain"
    ]
    assert [j["title"] for j in hers.get(JOBS, {"q": "film 1"}).json()["jobs"]] == [
        "Film 1"
    ]


@pytest.mark.parametrize("after", ["nonsense", "MjAyNiA=", "ż", "AAAA", "////"])
def test_a_cursor_that_is_none_is_refused(hers, after):
    refused(hers.get(JOBS, {"after": after}), 422, "invalid-input")


def test_a_field_that_is_not_accepted_is_named(hers):
    body = refused(hers.get(JOBS, {"limit": 1000}), 422, "invalid-input")

    assert [error["field"] for error in body["errors"]] == ["query.limit"]


# --- Watching ---------------------------------------------------------------------


def test_a_job_tells_its_steps_and_segments(hers, job):
    seen = hers.get(f"{JOBS}/{job.pk}").json()

    assert seen["segments"] == {
        "total": 3, "pending": 2, "running": 0, "done": 1, "failed": 0
    }  # fmt: skip
    assert [s["state"] for s in seen["steps"]][:3] == ["done", "done", "current"]
    assert (seen["settings"]["max_disparity"], seen["error"]) == (2.0, None)


def test_while_nothing_changes_nothing_is_sent(hers, job):
    etag = hers.get(f"{JOBS}/{job.pk}")["ETag"]

    again = hers.get(f"{JOBS}/{job.pk}", headers={"If-None-Match": etag})

    assert (again.status_code, again.content, again["ETag"]) == (304, b"", etag)


@pytest.mark.parametrize("change", ["claim", "frame", "finish", "fail", "cancel"])
def test_whatever_changes_is_sent(hers, job, change):
    segment = ledger.claim_segment(job.pk, 1) if change != "claim" else None
    etag = hers.get(f"{JOBS}/{job.pk}")["ETag"]
    match change:
        case "claim":
            ledger.claim_segment(job.pk, 1)
        case "frame":
            ledger.renew_segment(segment, frames_done=1)
        case "finish":
            ledger.finish_segment(segment, seconds=1.0, version="1")
        case "fail":
            ledger.fail_segment(segment, USERS)
        case "cancel":
            ledger.cancel(job.pk)

    again = hers.get(f"{JOBS}/{job.pk}", headers={"If-None-Match": etag})

    assert again.status_code == 200


def test_looking_costs_the_same_for_a_long_film(
    hers, job, frames, django_assert_max_num_queries
):
    Segment.objects.bulk_create(
        Segment(job=job, index=index, frames={}, frame_count=1)
        for index in range(3, 300)
    )
    etag = hers.get(f"{JOBS}/{job.pk}")["ETag"]

    with django_assert_max_num_queries(6):
        hers.get(f"{JOBS}/{job.pk}", headers={"If-None-Match": etag})


def test_a_failed_job_says_who_must_act(hers, job):
    put_into(job, "failed")

    assert hers.get(f"{JOBS}/{job.pk}").json()["error"] == {
        "code": "not-a-video",
        "message": "This is a text file.",
        "who_must_act": "user",
    }


def test_events_are_read_once_each(hers, job):
    Event.objects.create(job=job, kind="started")
    first = hers.get(f"{JOBS}/{job.pk}/events").json()
    Event.objects.create(job=job, kind="chunked", detail="3 segments")

    later = hers.get(f"{JOBS}/{job.pk}/events", {"after": first["last"]}).json()

    assert [event["kind"] for event in first["events"]] == ["started"]
    assert [event["detail"] for event in later["events"]] == ["3 segments"]


def test_a_link_to_the_film_needs_no_token(hers, job, client, own_store):
    put_into(job, "completed")
    final = own_store / "result" / job.final_key
    final.write_bytes(b"the film")

    result = hers.get(f"{JOBS}/{job.pk}/result").json()

    assert result["file_name"].endswith(".mp4")
    assert (result["size"], result["expires_at"] > now().isoformat()) == (8, True)
    answer = client.get(result["url"])
    assert b"".join(answer.streaming_content) == b"the film"


def test_a_playlist_leads_a_player_to_the_film(hers, job, client, own_store):
    put_into(job, "completed")
    (own_store / "result" / job.final_key).write_bytes(b"the film")

    for path in (f"/jobs/{job.pk}/playlist", "/playlist"):
        playlist = hers.get(f"/api/v1{path}")
        head, name, link = playlist.text.splitlines()

        assert playlist["Content-Type"].startswith("audio/x-mpegurl")
        assert (head, name) == ("#EXTM3U", "#EXTINF:-1,Rain_3D_LRF_Full_SBS")
        assert b"".join(client.get(link).streaming_content) == b"the film"


@pytest.mark.parametrize("path", ["result", "playlist"])
def test_before_it_is_completed_there_is_no_film(hers, job, path):
    refused(hers.get(f"{JOBS}/{job.pk}/{path}"), 409, "wrong-state")


def test_each_segment_is_told_of_page_by_page(hers, job):
    claimed = ledger.claim_segment(job.pk, 1)
    ledger.renew_segment(claimed, frames_done=7)
    failed = ledger.claim_segment(job.pk, 2)
    ledger.fail_segment(failed, StereoSpotError(ErrorCode.CRASHED, "It died."))

    first = hers.get(f"{JOBS}/{job.pk}/segments", {"limit": 2}).json()
    rest = hers.get(f"{JOBS}/{job.pk}/segments", {"first": first["next"]}).json()

    assert [(s["index"], s["state"]) for s in first["segments"]] == [
        (0, "done"),
        (1, "running"),
    ]
    assert first["segments"][0]["seconds"] == 9.0
    assert (first["segments"][1]["frames_done"], first["segments"][1]["frames"]) == (
        7,
        25,
    )
    assert [(s["index"], s["error"]["code"]) for s in rest["segments"]] == [
        (2, "crashed")
    ]
    assert rest["next"] is None


def test_a_film_that_is_gone_is_not_promised(hers, job):
    put_into(job, "completed")

    refused(hers.get(f"{JOBS}/{job.pk}/result"), 404, "not-found")


# --- Asking -----------------------------------------------------------------------


def test_a_job_is_cancelled_once(hers, job, sent, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        cancelled = hers.post(f"{JOBS}/{job.pk}/cancel").json()

    assert (cancelled["status"], sent) == ("cancelled", ["tidy"])
    refused(hers.post(f"{JOBS}/{job.pk}/cancel"), 409, "wrong-state")


def test_a_failed_job_goes_on(hers, job, sent, django_capture_on_commit_callbacks):
    refused(hers.post(f"{JOBS}/{job.pk}/retry"), 409, "wrong-state")
    put_into(job, "failed")

    with django_capture_on_commit_callbacks(execute=True):
        retried = hers.post(f"{JOBS}/{job.pk}/retry").json()

    assert (retried["status"], sent) == ("chunking_complete", ["retry"])


def test_a_deleted_job_is_gone(hers, job, sent, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        response = hers.delete(f"{JOBS}/{job.pk}")

    assert (response.status_code, sent) == (204, ["tidy"])
    refused(hers.get(f"{JOBS}/{job.pk}"), 404, "not-found")
    refused(hers.delete(f"{JOBS}/{job.pk}"), 404, "not-found")


def test_what_may_be_asked_for_is_said(hers):
    offers = hers.get("/api/v1/offers").json()

    assert {mode["id"] for mode in offers["modes"]} >= {"sbs", "anaglyph"}
    licences = {e["id"]: e["licence"]["commerce"] for e in offers["engines"]}
    assert licences["stereocrafter"] is False
    takes = {e["id"]: e["takes"] for e in offers["engines"]}
    assert takes["preview"]["is_measured"] is False
    assert takes["stereocrafter"]["low"] > takes["preview"]["high"] > 60
    assert offers["limits"]["source_bytes"] == 100_000_000_000


# --- Refusals ---------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/nowhere", "/jobs/not-a-job", "/jobs/", "/"])
@pytest.mark.parametrize("method", ["get", "post", "delete"])
def test_an_address_that_is_none_is_a_problem_too(alice, path, method):
    hers = client_of(alice, enforce_csrf_checks=True)

    refused(getattr(hers, method)(f"/api/v1{path}"), 404, "not-found")


def test_a_method_that_is_none_is_a_problem_too(hers):
    response = hers.put(JOBS)

    refused(response, 405, "method-not-allowed")
    assert "GET" in response["Allow"]


def test_a_mistake_of_ours_is_said_without_its_details(hers, job, monkeypatch, caplog):
    monkeypatch.setattr("apps.jobs.api.watching.look", lambda job: 1 / 0)

    body = refused(hers.get(f"{JOBS}/{job.pk}"), 500, "internal")

    assert "division" not in str(body)
    assert "ZeroDivisionError" in caplog.text


def test_a_store_that_does_not_answer_is_nobodys_fault(hers, job, monkeypatch):
    def away(job_id: object, by: object) -> None:
        raise StereoSpotError(ErrorCode.STORAGE, "The bucket did not answer.")

    monkeypatch.setattr("apps.pipeline.retrying.retry", away)

    body = refused(hers.post(f"{JOBS}/{job.pk}/retry"), 503, "storage")

    assert body["who_must_act"] == "transient"


def test_the_document_says_what_may_be_refused(client, db):
    document = client.get("/api/v1/openapi.json").json()

    for path in document["paths"].values():
        for operation in path.values():
            refusals = [s for s in operation["responses"] if int(s) >= 400]
            assert "401" in refusals
            for status in refusals:
                content = operation["responses"][status]["content"]
                assert list(content) == ["application/problem+json"]
