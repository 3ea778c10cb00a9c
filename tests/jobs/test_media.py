from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from django.core.files.base import ContentFile
from django.urls import reverse
from django.utils.timezone import now

from apps.jobs import storage
from apps.jobs.models import Job
from apps.jobs.names import download_name


@pytest.fixture
def completed(job, tmp_path) -> Job:
    """Alice's film, converted."""
    Job.objects.filter(pk=job.pk).update(
        **{"status": "completed", "finished_at": now(), "notify_at": None}
    )
    film = tmp_path / "final.mp4"
    film.write_bytes(b"0123456789")
    storage.result().put(job.final_key, film)
    job.refresh_from_db()
    return job


@pytest.fixture
def url(job) -> str:
    return reverse("job-final", args=[job.pk])


@pytest.mark.parametrize(
    ("mode", "name"),
    [
        ("sbs", "Rain_3D_LRF_Full_SBS.mp4"),
        ("half_sbs", "Rain_3D_LR_HSBS.mp4"),
        ("tab", "Rain_3D_Full_TB_TAB.mp4"),
        ("half_tab", "Rain_3D_TB_HTAB.mp4"),
        ("anaglyph", "Rain_redcyan_dubois.mp4"),
    ],
)
def test_players_know_the_layout_by_the_name(mode, name):
    assert download_name(Job(title="Rain", mode=mode)) == name


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("Müller & Söhne", "Müller & Söhne"),
        ("雨の中 🎬", "雨の中 🎬"),
        (r'\a/b:c*d?e"f<g>h|i', "abcdefghi"),
        ("a\r\nSet-Cookie: b\t\x7f", "aSet-Cookie b"),
        ("../../etc/passwd", "etcpasswd"),
        (" .Rain. ", "Rain"),
        ("4pm.\u202egpj", "4pm.gpj"),
        ("???", "Untitled"),
        ("Rain_3D", "Rain_3D"),
    ],
)
def test_a_title_becomes_a_name_that_every_disk_takes(title, name):
    assert download_name(Job(title=title, mode="sbs")) == f"{name}_3D_LRF_Full_SBS.mp4"


def test_a_long_title_is_cut_between_characters():
    name = download_name(Job(title="雨" * 200, mode="half_tab", final_extension="mkv"))

    assert len(name.encode()) <= 255
    assert re.fullmatch(r"雨{77,80}_3D_TB_HTAB\.mkv", name)


def test_the_film_is_played_from_the_disk(client, alice, completed, url):
    client.force_login(alice)

    response = client.get(url)

    assert response.status_code == 200
    assert response.getvalue() == b"0123456789"
    assert response["Content-Type"] == "video/mp4"
    assert response["Content-Disposition"].startswith("inline")


def test_a_player_seeks(client, alice, completed, url):
    client.force_login(alice)

    response = client.get(url, headers={"range": "bytes=2-4"})

    assert (response.status_code, response.getvalue()) == (206, b"234")
    assert response["Content-Range"] == "bytes 2-4/10"


def test_a_download_has_the_films_name_in_any_script(client, alice, completed, url):
    Job.objects.filter(pk=completed.pk).update(title="雨")
    client.force_login(alice)

    response = client.head(f"{url}?download=1")

    assert response["Content-Disposition"] == (
        "attachment; filename*=utf-8''%E9%9B%A8_3D_LRF_Full_SBS.mp4"
    )
    assert response["Content-Length"] == "10"


def test_there_is_no_film_before_the_job_is_completed(client, alice, job, url):
    client.force_login(alice)

    assert client.get(url).status_code == 404


def test_a_film_that_is_gone_is_not_found(client, alice, completed, url):
    storage.result().delete(completed.final_key)
    client.force_login(alice)

    assert client.get(url).status_code == 404


def test_others_do_not_get_the_film(client, charlie, completed, url):
    client.force_login(charlie)

    assert client.get(url).status_code == 404


@pytest.fixture
def bucket(settings, monkeypatch) -> None:
    """Results lie in a bucket; signing a link asks nobody."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    options = {"bucket_name": "films", "region_name": "eu-central-1"}
    result = {"BACKEND": "apps.jobs.storage.Bucket", "OPTIONS": options}
    settings.STORAGES = settings.STORAGES | {"result": result}


def test_from_a_bucket_it_is_fetched_by_a_signed_link(
    client, alice, completed, url, bucket
):
    client.force_login(alice)

    response = client.get(f"{url}?download=1")

    assert response.status_code == 302
    link = urlsplit(response["Location"])
    query = parse_qs(link.query)
    assert link.path.endswith(f"jobs/{completed.pk}/final.mp4")
    assert query["response-content-disposition"] == [
        'attachment; filename="Rain_3D_LRF_Full_SBS.mp4"'
    ]
    assert query["response-content-type"] == ["video/mp4"]
    assert any("signature" in name.lower() for name in query)


def test_the_page_may_play_from_the_bucket_and_from_nowhere_else(
    client, alice, completed, url, bucket, monkeypatch
):
    monkeypatch.setattr(storage, "size", lambda *_: 10)
    client.force_login(alice)

    origin = urlsplit(client.get(url)["Location"])
    page = client.get(reverse("job", args=[completed.pk]))

    policy = page["Content-Security-Policy"]
    assert f"media-src 'self' {origin.scheme}://{origin.netloc};" in policy


def test_a_film_on_a_disk_is_played_from_our_own_address(client, alice, completed):
    client.force_login(alice)

    page = client.get(reverse("job", args=[completed.pk]))

    assert "media-src 'self';" in page["Content-Security-Policy"]


@pytest.fixture
def source(completed) -> str:
    """The address of the film that Alice brought."""
    storage.source().save(completed.source_key, ContentFile(b"source"))
    return reverse("job-source", args=[completed.pk])


def test_the_source_is_played_beside_the_film(client, alice, source):
    client.force_login(alice)

    part = client.get(source, headers={"range": "bytes=2-4"})

    assert (part.status_code, part.getvalue()) == (206, b"urc")
    assert part["Content-Type"] == "video/mp4"
    assert part["Content-Disposition"] == 'inline; filename="Rain.mp4"'


@pytest.mark.parametrize("extension", ["html", "svg", "xml", "bin"])
def test_a_source_is_never_handed_out_as_a_page(client, alice, completed, extension):
    Job.objects.update(source_extension=extension)
    completed.refresh_from_db()
    storage.source().save(completed.source_key, ContentFile(b"<script>"))
    client.force_login(alice)

    response = client.get(reverse("job-source", args=[completed.pk]))

    assert response.getvalue() == b"<script>"
    assert response["Content-Type"] == "application/octet-stream"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in response["Content-Security-Policy"]


def test_others_do_not_get_the_source(client, charlie, source):
    client.force_login(charlie)

    assert client.get(source).status_code == 404


def test_a_source_that_is_gone_is_not_found(client, alice, completed):
    client.force_login(alice)

    response = client.get(reverse("job-source", args=[completed.pk]))

    assert response.status_code == 404


def test_the_film_is_never_held_whole(client, alice, completed, url):
    with Path(storage.result().path(completed.final_key)).open("wb") as film:
        film.truncate(3_000_000)
    client.force_login(alice)

    sizes = [len(block) for block in client.get(url).streaming_content]

    assert sum(sizes) == 3_000_000
    assert max(sizes) < 1_000_000
