"""A new job: what is asked for, and what the page is told to send where."""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

import boto3
import pytest
from django.test import Client
from moto import mock_aws

from apps.jobs import limits, uploads
from apps.jobs.models import Event, Job, Upload
from contract.errors import ErrorCode, StereoSpotError
from contract.modes import Engine, StereoMode

URL = "/jobs/new/"


def wish(name: str = "Rain.MP4", size: int = 4, **fields) -> dict[str, object]:
    """A form filled in as it should be, but for `fields`."""
    form = {
        "request_id": uuid4().hex,
        "name": name,
        "size": size,
        "modified": 1_700_000_000_000,
        "mode": "sbs",
        "engine": "preview",
        "max_disparity": "2",
        "convergence": "0.5",
        "title": "",
    }
    return {**form, **fields}


def test_the_page_says_the_limits_before_anything_is_chosen(client, alice, settings):
    settings.MAX_SOURCE_BYTES = 8_400_000_000
    settings.MAX_SOURCE_SECONDS = 3 * 3600
    client.force_login(alice)

    page = client.get(URL).text

    assert "At most 8.4 GB and 3 hours" in page
    assert page.count('name="mode"') == len(StereoMode)


def test_the_page_offers_every_engine_with_its_licence(client, alice):
    client.force_login(alice)

    page = client.get(URL).text

    assert page.count('name="engine"') == len(Engine)
    assert page.count("research only") == 1
    assert page.count("free for any use") == 2
    assert "(Apache-2.0)" in page


@pytest.mark.parametrize("engine", Engine)
def test_the_engine_that_was_chosen_is_the_job_s(client, alice, engine):
    client.force_login(alice)

    answer = client.post(URL, wish(engine=engine.value)).json()

    job = Job.objects.get()
    assert (job.engine, job.reference, job.depth_key) == (engine, False, None)
    assert job.get_engine_display() in client.get(answer["url"]).text


def test_a_job_waits_for_its_film_and_says_what_to_send(client, alice):
    client.force_login(alice)

    answer = client.post(URL, wish(mode="tab", max_disparity="3.5"))

    job = Job.objects.get()
    assert (answer.status_code, job.status) == (201, Job.Status.CREATED)
    assert answer.json() == {
        "id": str(job.pk),
        "title": "Rain",
        "url": f"/jobs/{job.pk}/",
        "uploads": [
            {
                "kind": "film",
                "name": "Rain.MP4",
                "size": 4,
                "modified": 1_700_000_000_000,
                "part_bytes": uploads.PART_BYTES,
                "missing": [1],
            }
        ],
    }
    assert (job.owner, job.mode, job.max_disparity, job.convergence) == (
        (alice, "tab", 3.5, 0.5)
    )
    assert not Event.objects.filter(kind="started").exists()


def test_a_depth_video_is_sent_beside_its_film(client, alice):
    client.force_login(alice)

    answer = client.post(URL, wish(depth_name="Tiefe 雨.MKV", depth_size=9)).json()

    job = Job.objects.get()
    assert job.depth_key == f"input/{job.pk}/depth.mkv"
    assert [(each["kind"], each["size"]) for each in answer["uploads"]] == [
        ("film", 4),
        ("depth", 9),
    ]
    assert "the depth video you brought" in client.get(answer["url"]).text


def test_the_button_pressed_twice_makes_one_job(client, alice):
    client.force_login(alice)
    form = wish()

    first, again = client.post(URL, form), client.post(URL, form)

    assert first.json() == again.json()
    assert Job.objects.count() == 1


@pytest.mark.parametrize(
    ("name", "title", "extension"),
    [
        ("Rain.MKV", "Rain", "mkv"),
        ("映画<script>.mp4", "映画<script>", "mp4"),
        ("Мой фильм.2024.ts", "Мой фильм.2024", "ts"),
        ("Rain", "Rain", "bin"),
        ("Dr. Strangelove", "Dr. Strangelove", "bin"),
        ("Rain.mp4;rm", "Rain.mp4;rm", "bin"),
        ("../../etc/passwd.mp4", "passwd", "mp4"),
        ("x" * 240 + ".mp4", "x" * 200, "mp4"),
        ("Rain." + "m" * 240, "Rain." + "m" * 195, "bin"),
    ],
)
def test_title_and_extension_come_from_the_file_s_name(
    client, alice, name, title, extension
):
    client.force_login(alice)

    assert client.post(URL, wish(name)).status_code == 201

    job = Job.objects.get()
    assert (job.title, job.source_extension) == (title, extension)
    assert job.source_key == f"input/{job.pk}/source.{extension}"


def test_a_title_that_was_given_is_kept(client, alice):
    client.force_login(alice)

    client.post(URL, wish(title="  Regen über Köln 雨 "))

    assert Job.objects.get().title == "Regen über Köln 雨"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"name": ""}, "Choose a video file."),
        ({"size": ""}, "This field is required"),
        ({"size": "many"}, "Enter a whole number"),
        ({"request_id": "1"}, "Enter a valid UUID"),
        ({"mode": "hologram"}, "There is no such mode"),
        ({"mode": ""}, "Choose a mode."),
        ({"engine": "magic"}, "There is no such engine"),
        ({"engine": ""}, "Choose an engine."),
        ({"depth_name": "a.mkv"}, "How large is the depth video?"),
        ({"max_disparity": "11"}, "less than or equal to 10"),
        ({"max_disparity": "-1"}, "greater than or equal to 0"),
        ({"max_disparity": "nan"}, "Enter a number"),
        ({"max_disparity": ""}, "This field is required"),
        ({"convergence": "1.1"}, "less than or equal to 1"),
        ({"convergence": "inf"}, "Enter a number"),
        ({"title": "x" * 201}, "at most 200 characters"),
        ({"modified": 10**30}, "less than or equal to"),
        ({"modified": -(10**30)}, "greater than or equal to"),
        (
            {"depth_name": "a.mkv", "depth_size": 1, "depth_modified": 10**30},
            "less than or equal to",
        ),
        ({"title": "a\0b"}, "Null characters are not allowed"),
    ],
)
def test_a_mistake_is_said_and_leaves_nothing(client, alice, fields, words):
    client.force_login(alice)

    answer = client.post(URL, wish(**fields))

    assert answer.status_code == 422
    assert words in str(answer.json()["errors"])
    assert Job.objects.count() == 0


@pytest.mark.parametrize(
    ("fields", "code", "words"),
    [
        ({"size": 0}, "empty-file", "Rain.MP4 is empty"),
        ({"size": -9}, "empty-file", "Rain.MP4 is empty"),
        ({"size": 5}, "too-large", "has 5 bytes, and at most 4 bytes are accepted"),
        ({"size": 10**30}, "too-large", "at most 4 bytes are accepted"),
        ({"depth_name": "d.mkv", "depth_size": 5}, "too-large", "d.mkv has 5 bytes"),
        ({"depth_name": "d.mkv", "depth_size": 0}, "empty-file", "d.mkv is empty"),
    ],
)
def test_a_file_that_is_not_taken_is_refused_before_it_is_sent(
    client, alice, settings, fields, code, words
):
    settings.MAX_SOURCE_BYTES = 4
    client.force_login(alice)

    answer = client.post(URL, wish(**fields))

    status = 413 if code == "too-large" else 422
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert words in answer.json()["message"]
    assert Job.objects.count() == 0


def test_too_many_films_in_a_short_time_are_refused_with_the_time_to_wait(
    client, alice, monkeypatch
):
    monkeypatch.setattr(limits, "CREATION", replace(limits.CREATION, free=1))
    client.force_login(alice)
    client.post(URL, wish())

    answer = client.post(URL, wish())

    assert (answer.status_code, answer["Retry-After"]) == (429, "10")
    assert "too often in a short time. Try again in 10 s" in answer.json()["message"]
    assert Job.objects.count() == 1


def test_who_has_as_many_films_in_work_as_allowed_keeps_nothing_in_the_store(
    client, alice, settings, own_store
):
    settings.QUOTA_FILMS_AT_ONCE = 0
    client.force_login(alice)

    answer = client.post(URL, wish())

    assert answer.status_code == 403
    assert "You may not convert films here" in answer.json()["message"]
    assert [path for path in own_store.rglob("*") if path.is_file()] == []


def test_a_store_that_does_not_answer_leaves_no_job(client, alice, monkeypatch):
    def silent(*_):
        raise StereoSpotError(ErrorCode.STORAGE, "Storage: away")

    monkeypatch.setattr("apps.jobs.parts.DiskParts.begin", silent)
    monkeypatch.setattr("apps.jobs.uploads.messages.send_tidy", lambda _: None)
    client.force_login(alice)

    answer = client.post(URL, wish())

    assert (answer.status_code, answer.json()["message"]) == (503, "Storage: away")
    # The row stays for a while: the store may have taken what it said it had not.
    assert [job.status for job in Job.objects.all()] == ["deleted"]


def test_a_person_sees_what_they_began_and_nobody_else_s(client, alice, charlie):
    client.force_login(charlie)
    client.post(URL, wish("Others.mp4"))
    client.force_login(alice)
    client.post(URL, wish("<b>Rain</b>.mp4"))
    client.post(URL, wish("Done.mp4"))
    Upload.objects.filter(name="Done.mp4").update(arrived_at="2026-01-01T00:00Z")

    page = client.get(URL).text

    assert "Begun and not finished" in page
    assert "&lt;b&gt;Rain&lt;/b&gt;.mp4" in page
    assert "Others.mp4" not in page
    assert "Done.mp4" not in page


def test_strangers_are_told_to_sign_in(client, db):
    answer = client.post(URL, wish())

    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
    assert Job.objects.count() == 0


def test_the_form_works_with_its_token_only(alice):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(alice)
    token = str(strict.get(URL).context["csrf_token"])

    without = strict.post(URL, wish())
    with_token = strict.post(URL, wish(), headers={"X-CSRFToken": token})

    assert (without.status_code, with_token.status_code) == (403, 201)


def test_films_go_to_ourselves_or_to_the_bucket_and_to_nobody_else(
    client, alice, settings, monkeypatch
):
    client.force_login(alice)
    assert "connect-src 'self';" in client.get(URL)["Content-Security-Policy"]

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    options = {"bucket_name": "films", "region_name": "eu-central-1"}
    backend = {"BACKEND": "apps.jobs.storage.Bucket", "OPTIONS": options}
    settings.STORAGES = settings.STORAGES | {"source": backend}
    with mock_aws():
        here = {"LocationConstraint": "eu-central-1"}
        s3 = boto3.client("s3", region_name="eu-central-1")
        s3.create_bucket(Bucket="films", CreateBucketConfiguration=here)
        policy = client.get(URL)["Content-Security-Policy"]
        client.post(URL, wish())
        address = uploads.sign_part(Upload.objects.get(), 1)

    bucket = "https://films.s3.eu-central-1.amazonaws.com"
    assert f"connect-src 'self' {bucket};" in policy
    assert address.startswith(f"{bucket}/input/")
    assert bucket not in client.get("/")["Content-Security-Policy"]


@pytest.mark.parametrize("method", ["put", "delete", "patch"])
def test_it_rejects_other_methods(client, alice, method):
    client.force_login(alice)

    assert getattr(client, method)(URL).status_code == 405


def test_a_problem_gets_the_focus_and_so_is_read_once(client, alice):
    client.force_login(alice)

    assert '<div id="problems" tabindex="-1">' in client.get("/jobs/new/").text
