"""A new job over the API: made once, sent in parts, started by its last file."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.http import UnreadablePostError
from django.test import Client
from structlog.testing import capture_logs

from apps.jobs import limits
from apps.jobs.models import Account, Job
from tests.concurrency import at_once
from tests.jobs.test_api import client_of, refused

JOBS = "/api/v1/jobs"
FILM = b"a film, as far as anybody here looks"


@pytest.fixture
def hers(alice) -> Client:
    return client_of(alice)


@pytest.fixture(autouse=True)
def started(monkeypatch) -> list[str]:
    """Stages that workers were asked for."""
    started: list[str] = []
    monkeypatch.setattr(
        "apps.pipeline.messages.send_stage", lambda job: started.append(job.status)
    )
    monkeypatch.setattr("apps.pipeline.messages.send_tidy", lambda job: None)
    return started


def asked(**changes: Any) -> dict[str, Any]:
    return {"file": {"name": "Rain.mkv", "size": len(FILM)}, **changes}


def create(client: Client, body: object, key: str | None = None):
    headers = {"Idempotency-Key": key} if key else {}
    text = body if isinstance(body, str) else json.dumps(body)
    return client.post(JOBS, text, content_type="application/json", headers=headers)


def send(client: Client, job: dict[str, Any], kind: str, content: bytes) -> None:
    (upload,) = [each for each in job["uploads"] if each["kind"] == kind]
    for number in upload["missing"]:
        part = client.post(f"{JOBS}/{job['id']}/uploads/{kind}/parts/{number}").json()
        begin = (number - 1) * upload["part_bytes"]
        piece = content[begin : begin + part["size"]]
        # By somebody without a token: the address alone is enough.
        sent = Client().put(part["url"], piece, content_type="application/octet-stream")
        assert sent.status_code == 200


def complete(client: Client, job: dict[str, Any], kind: str = "film"):
    return client.post(f"{JOBS}/{job['id']}/uploads/{kind}/complete")


def test_a_film_goes_in_part_by_part_and_starts(
    hers, started, own_store, monkeypatch, django_capture_on_commit_callbacks
):
    monkeypatch.setattr("apps.jobs.uploads.PART_BYTES", 10)
    made = create(hers, asked(mode="half_tab", settings={"max_disparity": 3.0}))
    job = made.json()

    assert (made.status_code, job["title"], job["status"]) == (201, "Rain", "created")
    assert made["Location"] == f"{JOBS}/{job['id']}"
    assert job["uploads"][0]["missing"] == [1, 2, 3, 4]
    send(hers, job, "film", FILM)
    with django_capture_on_commit_callbacks(execute=True):
        done = complete(hers, job).json()

    assert (done["status"], started) == (
        "chunking_in_progress",
        ["chunking_in_progress"],
    )
    row = Job.objects.get()
    assert (row.mode, row.max_disparity) == ("half_tab", 3.0)
    assert (own_store / "source" / row.source_key).read_bytes() == FILM


def test_a_job_with_its_own_depth_starts_after_both_files(hers):
    job = create(hers, asked(depth={"name": "d.mp4", "size": 5})).json()
    send(hers, job, "film", FILM)
    assert complete(hers, job).json()["status"] == "created"
    send(hers, job, "depth", b"depth")

    assert complete(hers, job, "depth").json()["status"] == "chunking_in_progress"


def test_what_is_missing_can_be_asked_for_and_completing_without_it_is_refused(
    hers, monkeypatch
):
    monkeypatch.setattr("apps.jobs.uploads.PART_BYTES", 10)
    job = create(hers, asked()).json()
    part = hers.post(f"{JOBS}/{job['id']}/uploads/film/parts/2").json()
    Client().put(part["url"], FILM[10:20], content_type="application/octet-stream")

    (state,) = hers.get(f"{JOBS}/{job['id']}/uploads").json()

    assert state["missing"] == [1, 3, 4]
    refused(complete(hers, job), 409, "upload-incomplete")


def test_completing_twice_is_completing_once(hers):
    job = create(hers, asked()).json()
    send(hers, job, "film", FILM)

    first, second = complete(hers, job), complete(hers, job)

    assert first.json()["status"] == second.json()["status"] == "chunking_in_progress"


# --- Once -------------------------------------------------------------------------


def test_a_request_sent_twice_under_one_key_is_one_job(hers):
    first, second = create(hers, asked(), "a"), create(hers, asked(), "a")

    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json()["id"] == second.json()["id"]
    assert Job.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_request_sent_eight_times_at_once_under_one_key_is_one_job(hers):
    answers = at_once([lambda: create(hers, asked(), "a")] * 8)

    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]
    assert Job.objects.count() == 1


def test_without_a_key_two_requests_are_two_jobs(hers):
    create(hers, asked())
    create(hers, asked())

    assert Job.objects.count() == 2


def test_one_key_of_two_people_is_two_jobs(hers, charlie):
    create(hers, asked(), "a")
    create(client_of(charlie), asked(), "a")

    assert Job.objects.count() == 2


@pytest.mark.parametrize(
    "other",
    [
        {"mode": "tab"},
        {"title": "Other"},
        {"settings": {"convergence": 0.1}},
        {"file": {"name": "Rain.mkv", "size": 1}},
        {"depth": {"name": "d.mp4", "size": 1}},
    ],
)
def test_a_key_is_good_for_one_request(hers, other):
    create(hers, asked(), "a")

    refused(create(hers, asked(**other), "a"), 422, "invalid-input")

    assert Job.objects.count() == 1


def test_a_key_does_not_bring_a_deleted_job_back(hers):
    job = create(hers, asked(), "a").json()
    hers.delete(f"{JOBS}/{job['id']}")

    refused(create(hers, asked(), "a"), 409, "wrong-state")


# --- Refused ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "body.new"),
        (asked(mode="cinerama"), "body.new.mode"),
        (asked(engine="fast", settings={"reference": True}), "body.new"),
        (asked(settings={"max_disparity": 11}), "body.new.settings.max_disparity"),
        (asked(surprise=1), "body.new.surprise"),
        (asked(title="a\0b"), "body.new.title"),
        (asked(file={"name": "", "size": 1}), "body.new.file.name"),
        (asked(file={"name": "a.mp4", "size": 0}), "body.new.file.size"),
        ('{"file": {"name": "\\ud800.mp4", "size": 1}}', "body.new.file.name"),
    ],
)
def test_what_is_not_accepted_is_named(hers, body, field):
    body = refused(create(hers, body), 422, "invalid-input")

    assert [error["field"] for error in body["errors"]] == [field]
    assert not Job.objects.exists()


@pytest.mark.parametrize("text", ["", "nonsense", "[]", "{", "\xff"])
def test_what_is_no_json_is_refused(hers, text):
    refused(create(hers, text), 422, "invalid-input")


def test_a_request_that_is_too_large_is_refused(hers):
    body = refused(create(hers, asked(title="x" * 3_000_000)), 413, "too-large")

    assert body["who_must_act"] == "user"
    assert not Job.objects.exists()


def test_a_request_that_breaks_off_is_no_mistake_of_ours(hers, monkeypatch):
    def read(*_):
        raise UnreadablePostError("the line is lost")

    monkeypatch.setattr("django.core.handlers.wsgi.WSGIRequest.read", read)

    with capture_logs() as said:
        refused(create(hers, asked()), 422, "invalid-input")

    assert not [each for each in said if each["log_level"] == "error"]
    assert not Job.objects.exists()


def test_a_film_that_is_too_large_is_refused_before_it_is_sent(hers, settings):
    settings.MAX_SOURCE_BYTES = 1

    refused(create(hers, asked()), 413, "too-large")


def test_a_full_disk_is_the_operators(hers, monkeypatch):
    monkeypatch.setattr(
        "apps.jobs.parts.shutil.disk_usage", lambda path: type("Usage", (), {"free": 0})
    )

    body = refused(create(hers, asked()), 507, "disk-full")

    assert body["who_must_act"] == "operator"


def test_a_quota_is_kept(hers, alice):
    Account.objects.create(user=alice, films_at_once=1)
    create(hers, asked())

    refused(create(hers, asked()), 403, "too-many-films")

    quota = hers.get("/api/v1/offers").json()["quota"]
    assert (quota["films"], quota["films_at_once"]) == (1, 1)


def test_who_asks_too_often_is_told_how_long_to_wait(hers, monkeypatch):
    rare = limits.Limit("creation", free=1, leak=60, pause=60, longest=60)
    monkeypatch.setattr(limits, "CREATION", rare)
    create(hers, asked(), "a")

    response = create(hers, asked(), "b")

    refused(response, 429, "too-many-requests")
    assert 0 < int(response["Retry-After"]) <= 60
    # Whoever did not hear the first answer is not punished for asking again.
    assert create(hers, asked(), "a").status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("get", "/uploads"),
        ("post", "/uploads/film/parts/1"),
        ("post", "/uploads/film/complete"),
    ],
)
def test_the_files_of_somebody_elses_job_do_not_exist(hers, charlie, method, path):
    job = create(hers, asked()).json()
    ask = getattr(client_of(charlie), method)

    refused(ask(f"{JOBS}/{job['id']}{path}"), 404, "not-found")


@pytest.mark.parametrize("number", ["0", "2", "99999999999999999999"])
def test_a_part_that_the_file_has_not_has_no_address(hers, number):
    job = create(hers, asked()).json()

    refused(
        hers.post(f"{JOBS}/{job['id']}/uploads/film/parts/{number}"), 404, "not-found"
    )


def test_to_a_job_that_is_over_nothing_more_is_sent(hers):
    job = create(hers, asked()).json()
    hers.post(f"{JOBS}/{job['id']}/cancel")

    refused(hers.post(f"{JOBS}/{job['id']}/uploads/film/parts/1"), 409, "upload-over")
