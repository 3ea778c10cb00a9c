"""What a page asks while it sends a film, and who gets an answer."""

from __future__ import annotations

import contextlib
import os
import socket
from threading import Barrier, Event
from types import SimpleNamespace
from uuid import uuid4

import pytest
from django.http import UnreadablePostError
from django.test import Client
from django.urls import reverse

from apps.jobs import deadlines, storage, uploads
from apps.jobs.models import Job, Upload
from apps.jobs.uploads import File
from apps.jobs.views import parts
from contract.errors import StereoSpotError
from tests.concurrency import at_once

FILM = b"a film of 22 bytes    "


@pytest.fixture
def upload(alice, monkeypatch) -> Upload:
    """Alice has begun to send a film of three parts."""
    monkeypatch.setattr(uploads, "PART_BYTES", 10)
    monkeypatch.setattr("apps.jobs.uploads.messages.send_stage", lambda _: None)
    monkeypatch.setattr("apps.jobs.uploads.messages.send_tidy", lambda _: None)
    job = uploads.begin(Job(owner=alice, mode="sbs"), film=File("Rain.mp4", len(FILM)))
    return job.uploads.get()


def address(client: Client, upload: Upload, number: int) -> str:
    url = reverse("upload-sign-part", args=[upload.job_id, upload.kind, number])
    return client.post(url).json()["url"]


def put(client: Client, url: str, part: bytes):
    return client.put(url, part, content_type="application/octet-stream")


def test_a_film_goes_through_in_three_parts(client, alice, upload):
    client.force_login(alice)
    state = reverse("upload", args=[upload.job_id, "film"])
    assert client.get(state).json() == {
        "kind": "film",
        "name": "Rain.mp4",
        "size": 22,
        "modified": None,
        "part_bytes": 10,
        "missing": [1, 2, 3],
    }

    for number, part in ((2, FILM[10:20]), (3, FILM[20:]), (1, FILM[:10])):
        answer = put(client, address(client, upload, number), part)
        assert (answer.status_code, answer["ETag"]) == (200, f'"{number}-{len(part)}"')
    url = reverse("upload-complete", args=[upload.job_id, "film"])
    first, again = client.post(url), client.post(url)

    done = {"url": f"/jobs/{upload.job_id}/", "waits_for": []}
    assert first.json() == again.json() == done
    with storage.source().local(upload.key) as path:
        assert path.read_bytes() == FILM
    assert Job.objects.get().status == Job.Status.CHUNKING
    assert client.get(state).status_code == 409


def pages(job_id) -> list[tuple[str, str]]:
    return [
        ("get", reverse("upload", args=[job_id, "film"])),
        ("post", reverse("upload-sign-part", args=[job_id, "film", 1])),
        ("post", reverse("upload-complete", args=[job_id, "film"])),
        ("post", reverse("job-abandon", args=[job_id])),
    ]


def test_others_do_not_learn_that_there_is_an_upload(client, charlie, upload):
    client.force_login(charlie)

    for method, url in [*pages(upload.job_id), *pages(uuid4())]:
        assert getattr(client, method)(url).status_code == 404
    assert Job.objects.get().status == Job.Status.CREATED


def test_strangers_are_told_to_sign_in_and_not_sent_a_page(client, upload):
    for method, url in [*pages(upload.job_id), *pages(uuid4())]:
        answer = getattr(client, method)(url)
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
    assert Job.objects.get().status == Job.Status.CREATED


def test_another_page_cannot_make_a_person_s_browser_ask(alice, upload):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(alice)

    for method, url in pages(upload.job_id)[1:]:
        assert getattr(strict, method)(url).status_code == 403


def test_an_address_needs_no_cookie_and_serves_one_part_only(client, alice, upload):
    client.force_login(alice)
    url = address(client, upload, 3)

    assert put(Client(), url, FILM[:10]).status_code == 400  # it is not the first's
    assert put(Client(), url, FILM[20:]).status_code == 200
    assert put(Client(), f"{url}x", FILM[20:]).status_code == 403
    assert uploads.missing_parts(upload) == [1, 2]


@pytest.mark.parametrize("part", [b"", b"short", b"longer than a part"])
def test_a_part_has_its_length_or_is_refused_unread(client, alice, upload, part):
    client.force_login(alice)

    answer = put(client, address(client, upload, 1), part)

    assert answer.status_code == 400
    assert answer.json()["message"] == "Part 1 has 10 bytes: send just these."
    assert uploads.missing_parts(upload) == [1, 2, 3]


def test_a_part_that_breaks_off_is_missing(client, alice, upload, monkeypatch):
    client.force_login(alice)
    pieces = iter([b"half", b""])
    monkeypatch.setattr(
        "django.core.handlers.wsgi.WSGIRequest.read", lambda *_: next(pieces)
    )

    answer = put(client, address(client, upload, 1), FILM[:10])

    assert (answer.status_code, answer.json()["code"]) == (409, "upload-incomplete")
    assert uploads.missing_parts(upload) == [1, 2, 3]


def test_a_sender_who_falls_silent_does_not_keep_a_thread(
    client, alice, upload, monkeypatch
):
    client.force_login(alice)
    url = address(client, upload, 1)
    ours, theirs = socket.socketpair()
    monkeypatch.setattr(deadlines, "SILENCE_SECONDS", 0.05)

    def read(*_):
        try:
            return ours.recv(10)
        except TimeoutError as error:  # as Django's request does it
            raise UnreadablePostError from error

    monkeypatch.setattr("django.core.handlers.wsgi.WSGIRequest.read", read)
    with ours, theirs:
        answer = client.put(
            url,
            FILM[:10],
            content_type="application/octet-stream",
            **{"gunicorn.socket": ours},
        )
        assert ours.gettimeout() is None  # for the next request on this line

    assert answer.status_code == 409


@pytest.mark.django_db(transaction=True)
def test_of_many_parts_at_once_some_are_asked_for_again_and_threads_stay_free(
    client, alice, upload, monkeypatch
):
    client.force_login(alice)
    url = address(client, upload, 1)
    two_turned_away = Event()
    turned_away = Barrier(2, action=two_turned_away.set)
    monkeypatch.setattr(uploads, "receive", lambda *_: two_turned_away.wait(60))

    def send() -> tuple[int, str | None]:
        answer = put(Client(), url, FILM[:10])
        if answer.status_code == 429:
            turned_away.wait(60)
        return answer.status_code, answer.get("Retry-After")

    answers = at_once([send] * (parts.MOST_PARTS_OF_ONE + 2))

    assert sorted(answers, key=str) == [(200, None)] * 4 + [(429, "2")] * 2
    assert put(client, url, FILM[:10]).status_code == 200


def test_after_giving_up_nothing_is_taken_any_more(client, alice, upload, own_store):
    client.force_login(alice)
    url = address(client, upload, 1)

    assert client.post(reverse("job-abandon", args=[upload.job_id])).status_code == 204

    assert put(client, url, FILM[:10]).status_code == 409
    assert client.get("/").context["rows"] == []


def test_a_full_disk_is_said_and_the_part_can_be_sent_again(
    client, alice, upload, monkeypatch
):
    client.force_login(alice)
    url = address(client, upload, 1)

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as context:
        context.setattr(os, "pwrite", full)
        answer = put(client, url, FILM[:10])
    assert (answer.status_code, answer.json()["code"]) == (507, "disk-full")

    assert put(client, url, FILM[:10]).status_code == 200


def test_a_disk_without_room_for_the_film_refuses_at_once(
    alice, monkeypatch, own_store
):
    monkeypatch.setattr(
        "apps.jobs.parts.shutil.disk_usage", lambda _: SimpleNamespace(free=1)
    )
    monkeypatch.setattr("apps.jobs.uploads.messages.send_tidy", lambda _: None)

    with pytest.raises(StereoSpotError, match="is full"):
        uploads.begin(Job(owner=alice, mode="sbs"), film=File("Rain.mp4", 22))

    assert [job.status for job in Job.objects.all()] == ["deleted"]


def test_films_that_are_on_their_way_have_their_room_already(
    alice, monkeypatch, own_store
):
    """Each would fit by itself; together they would take the ledger's last room."""
    monkeypatch.setattr(
        "apps.jobs.parts.shutil.disk_usage", lambda _: SimpleNamespace(free=130)
    )
    monkeypatch.setattr("apps.jobs.parts.RESERVE", 50)
    monkeypatch.setattr("apps.jobs.uploads.messages.send_tidy", lambda _: None)

    def begun() -> bool:
        try:
            uploads.begin(Job(owner=alice, mode="sbs"), film=File("Rain.mp4", 40))
        except StereoSpotError:
            return False
        return True

    assert [begun() for _ in range(3)] == [True, True, False]


@pytest.mark.django_db(transaction=True)
def test_of_films_that_begin_at_once_no_more_than_fit_do(alice, monkeypatch, own_store):
    monkeypatch.setattr(
        "apps.jobs.parts.shutil.disk_usage", lambda _: SimpleNamespace(free=130)
    )
    monkeypatch.setattr("apps.jobs.parts.RESERVE", 50)
    monkeypatch.setattr("apps.jobs.uploads.messages.send_tidy", lambda _: None)

    def begin() -> None:
        with contextlib.suppress(StereoSpotError):
            uploads.begin(Job(owner=alice, mode="sbs"), film=File("Rain.mp4", 40))

    at_once([begin] * 8)

    assert Job.objects.filter(status="created").count() <= 2


def test_no_part_is_taken_once_the_reserve_is_touched(
    client, alice, upload, monkeypatch
):
    client.force_login(alice)
    url = address(client, upload, 1)
    free = SimpleNamespace(free=60)
    monkeypatch.setattr("apps.jobs.parts.shutil.disk_usage", lambda _: free)
    monkeypatch.setattr("apps.jobs.parts.RESERVE", 55)

    answer = put(client, url, FILM[:10])
    assert (answer.status_code, answer.json()["code"]) == (507, "disk-full")

    free.free = 65
    assert put(client, url, FILM[:10]).status_code == 200
