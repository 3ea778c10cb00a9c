from __future__ import annotations

import errno
from dataclasses import replace
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from apps.jobs import limits, storage
from apps.jobs.models import Event, Job
from apps.jobs.views.upload import OnDisk
from contract.modes import Engine, StereoMode

URL = "/jobs/new/"


@pytest.fixture
def sent(monkeypatch) -> list[Job]:
    """The jobs whose first stage was sent."""
    jobs: list[Job] = []
    monkeypatch.setattr("apps.jobs.views.upload.messages.send_stage", jobs.append)
    return jobs


@pytest.fixture
def commits(django_capture_on_commit_callbacks):
    """Transactions commit inside of it."""
    return lambda: django_capture_on_commit_callbacks(execute=True)


def wish(
    name: str = "Rain.MP4", content: bytes = b"film", **fields
) -> dict[str, object]:
    """A form filled in as it should be, but for `fields`."""
    form = {
        "mode": "sbs",
        "engine": "preview",
        "max_disparity": "2",
        "convergence": "0.5",
        "title": "",
    }
    return {"file": SimpleUploadedFile(name, content), **form, **fields}


def everything_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


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
def test_the_engine_that_was_chosen_is_the_job_s(client, alice, sent, commits, engine):
    client.force_login(alice)

    with commits():
        response = client.post(URL, wish(engine=engine.value))

    job = Job.objects.get()
    assert (job.engine, job.reference, job.depth_key) == (engine, False, None)
    assert job.get_engine_display() in client.get(response["Location"]).text


def test_a_depth_video_ends_in_the_store_beside_its_film(
    client, alice, sent, commits, own_store
):
    client.force_login(alice)

    with commits():
        response = client.post(
            URL, wish(depth=SimpleUploadedFile("Tiefe 雨.MKV", b"grey"))
        )

    job = Job.objects.get()
    assert job.depth_key == f"input/{job.pk}/depth.mkv"
    with (
        storage.source().local(job.source_key) as film,
        storage.source().local(job.depth_key) as depth,
    ):
        assert (film.read_bytes(), depth.read_bytes()) == (b"film", b"grey")
        assert set(everything_in(own_store)) == {film, depth}
    page = client.get(response["Location"]).text
    assert "depth brought" in page
    assert "the depth video you brought" in page


def test_a_depth_video_over_the_limit_is_refused(client, alice, settings, own_store):
    settings.MAX_SOURCE_BYTES = 4
    client.force_login(alice)

    response = client.post(URL, wish(depth=SimpleUploadedFile("d.mkv", b"black")))

    assert response.status_code == 422
    assert "The file has 5 bytes, and at most 4 bytes are accepted." in response.text
    assert (Job.objects.count(), everything_in(own_store)) == (0, [])


def test_a_film_ends_in_the_store_and_has_itself_cut(
    client, alice, sent, commits, own_store
):
    client.force_login(alice)

    with commits():
        response = client.post(URL, wish(mode="tab", max_disparity="3.5"))
        assert sent == []

    job = Job.objects.get()
    assert (response.status_code, response["Location"]) == (303, f"/jobs/{job.pk}/")
    assert sent == [job]
    assert sent[0].status == Job.Status.CHUNKING
    assert (job.owner, job.title, job.mode) == (alice, "Rain", "tab")
    assert (job.max_disparity, job.convergence) == (3.5, 0.5)
    assert job.source_key.endswith("/source.mp4")
    with storage.source().local(job.source_key) as path:
        assert path.read_bytes() == b"film"
        assert everything_in(own_store) == [path]  # moved there, not copied
    assert Event.objects.get().kind == "started"


def test_a_film_larger_than_every_buffer_arrives_whole(client, alice, sent, commits):
    content = bytes(range(251)) * 20_000
    client.force_login(alice)

    with commits():
        client.post(URL, wish(content=content))

    with storage.source().local(Job.objects.get().source_key) as path:
        assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("name", "title", "extension"),
    [
        ("Rain.MKV", "Rain", "mkv"),
        ("雨の中.mp4", "雨の中", "mp4"),
        ("Мой фильм.2024.ts", "Мой фильм.2024", "ts"),
        ("Rain", "Rain", "bin"),
        ("Dr. Strangelove", "Dr. Strangelove", "bin"),
        ("Rain.mp4;rm", "Rain.mp4;rm", "bin"),
        ("../../etc/passwd.mp4", "passwd", "mp4"),
        ("x" * 240 + ".mp4", "x" * 200, "mp4"),
        ("Rain." + "m" * 240, "Rain." + "m" * 195, "bin"),
    ],
)
def test_title_and_extension_come_from_the_files_name(
    client, alice, sent, commits, name, title, extension
):
    client.force_login(alice)

    with commits():
        client.post(URL, wish(name))

    job = Job.objects.get()
    assert (job.title, job.source_extension) == (title, extension)
    assert storage.size(storage.source(), job.source_key) == 4


def test_a_title_that_was_given_is_kept(client, alice, sent, commits):
    client.force_login(alice)

    with commits():
        client.post(URL, wish(title="  Regen über Köln 雨 "))

    assert Job.objects.get().title == "Regen über Köln 雨"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"file": ""}, "Choose a video file."),
        ({"file": SimpleUploadedFile("a.mp4", b"")}, "The file is empty"),
        ({"mode": "hologram"}, "There is no such mode"),
        ({"mode": ""}, "Choose a mode."),
        ({"engine": "magic"}, "There is no such engine"),
        ({"engine": ""}, "Choose an engine."),
        ({"depth": SimpleUploadedFile("a.mkv", b"")}, "choose another one, or none"),
        ({"max_disparity": "11"}, "less than or equal to 10"),
        ({"max_disparity": "-1"}, "greater than or equal to 0"),
        ({"max_disparity": "nan"}, "Enter a number"),
        ({"max_disparity": ""}, "This field is required"),
        ({"convergence": "1.1"}, "less than or equal to 1"),
        ({"convergence": "inf"}, "Enter a number"),
        ({"title": "x" * 201}, "at most 200 characters"),
        ({"title": "a\0b"}, "Null characters are not allowed"),
    ],
)
def test_a_mistake_is_said_and_leaves_nothing(
    client, alice, sent, own_store, fields, words
):
    client.force_login(alice)

    response = client.post(URL, wish(**fields))

    assert response.status_code == 422
    assert words in response.text
    assert (Job.objects.count(), sent, everything_in(own_store)) == (0, [], [])


def test_a_file_over_the_limit_is_refused(client, alice, settings, own_store):
    settings.MAX_SOURCE_BYTES = 3
    client.force_login(alice)

    response = client.post(URL, wish())

    assert response.status_code == 422
    assert "The file has 4 bytes, and at most 3 bytes are accepted." in response.text
    assert (Job.objects.count(), everything_in(own_store)) == (0, [])


def test_a_request_over_the_limit_is_refused_before_it_is_read(
    client, alice, settings, monkeypatch
):
    def read(*_):
        pytest.fail("it was read")

    monkeypatch.setattr("apps.jobs.views.upload._receive", read)
    settings.MAX_SOURCE_BYTES = 1000
    client.force_login(alice)

    response = client.post(URL, wish(content=b"x" * 100_000))

    assert response.status_code == 422
    assert "at most 1 kB are accepted" in response.text


def test_a_full_disk_is_said_and_leaves_nothing(
    client, alice, sent, own_store, monkeypatch
):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(storage.Disk, "put", full)
    client.force_login(alice)

    response = client.post(URL, wish())

    assert response.status_code == 422
    assert "is full" in response.text
    # The row stays for a while: the store may have taken what it said it had not.
    assert [job.status for job in Job.objects.all()] == ["deleted"]
    assert (sent, everything_in(own_store)) == ([], [])


def test_a_disk_that_fills_up_during_the_upload_is_said(
    client, alice, own_store, monkeypatch
):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("apps.jobs.views.upload.OnDisk.receive_data_chunk", full)
    client.force_login(alice)

    response = client.post(URL, wish())

    assert response.status_code == 422
    assert "is full" in response.text
    assert everything_in(own_store) == []


def test_a_disk_that_fills_up_with_the_depth_video_keeps_no_film_either(
    client, alice, own_store, monkeypatch
):
    receive = OnDisk.receive_data_chunk

    def full(handler, data, start):
        if handler.field_name == "depth":
            raise OSError(errno.ENOSPC, "No space left on device")
        return receive(handler, data, start)

    monkeypatch.setattr(OnDisk, "receive_data_chunk", full)
    client.force_login(alice)

    response = client.post(URL, wish(depth=SimpleUploadedFile("d.mkv", b"grey")))

    assert response.status_code == 422
    assert (Job.objects.count(), everything_in(own_store)) == (0, [])


def test_a_queue_that_does_not_answer_costs_no_film(
    client, alice, commits, monkeypatch
):
    def silent(_):
        raise ConnectionError("SQS is away")

    monkeypatch.setattr("apps.jobs.views.upload.messages.send_stage", silent)
    client.force_login(alice)

    with commits():
        response = client.post(URL, wish())

    assert response.status_code == 303
    assert Job.objects.get().status == Job.Status.CHUNKING  # the sweep sends it


def test_the_folder_for_uploads_need_not_exist(
    client, alice, sent, commits, settings, own_store
):
    settings.FILE_UPLOAD_TEMP_DIR = own_store / "not" / "there"
    client.force_login(alice)

    with commits():
        assert client.post(URL, wish()).status_code == 303


def test_the_form_works_with_its_token_only(alice, sent, own_store):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(alice)
    token = strict.get(URL).context["csrf_token"]

    without = strict.post(URL, wish())
    with_token = strict.post(URL, wish(csrfmiddlewaretoken=str(token)))

    assert (without.status_code, with_token.status_code) == (403, 303)
    assert len(everything_in(own_store)) == 1


@pytest.mark.parametrize("method", ["put", "delete", "patch"])
def test_it_rejects_other_methods(client, alice, method):
    client.force_login(alice)

    assert getattr(client, method)(URL).status_code == 405


def test_too_many_films_in_a_short_time_are_refused_with_the_time_to_wait(
    client, alice, sent, commits, monkeypatch
):
    monkeypatch.setattr(limits, "CREATION", replace(limits.CREATION, free=1))
    client.force_login(alice)
    with commits():
        client.post(URL, wish())

    response = client.post(URL, wish())

    assert "too often in a short time. Try again in 10 s" in response.text
    assert Job.objects.count() == 1


def test_who_has_as_many_films_in_work_as_allowed_keeps_nothing_in_the_store(
    client, alice, settings, own_store
):
    settings.QUOTA_FILMS_AT_ONCE = 0
    client.force_login(alice)

    response = client.post(URL, wish())

    assert "You may not convert films here" in response.text
    assert (Job.objects.count(), everything_in(own_store)) == (0, [])
