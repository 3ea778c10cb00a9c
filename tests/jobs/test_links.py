"""What players are given: signed links, and the playlists they stand in."""

from __future__ import annotations

import io
import logging
import re
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from django.conf import settings as django_settings
from django.core.files.base import ContentFile
from django.urls import reverse
from django.utils.timezone import now

from apps.jobs import ledger, storage
from apps.jobs.models import Job
from apps.jobs.views.links import LINK_SECONDS
from contract.keys import FinalKey


@pytest.fixture
def completed(job) -> Job:
    """Alice's film, converted."""
    Job.objects.filter(pk=job.pk).update(
        status="completed",
        finished_at=now(),
        notify_at=None,
        film={"duration": 61.6},
    )
    final = Path(storage.result().path(job.final_key))
    final.write_bytes(b"0123456789")
    job.refresh_from_db()
    return job


@pytest.fixture
def playlist(completed) -> str:
    return reverse("job-playlist", args=[completed.pk])


@pytest.fixture
def link(client, alice, playlist) -> str:
    """The link that Alice's playlist has, without anyone's cookies."""
    client.force_login(alice)
    found = entries(client.get(playlist).text)[0][1]
    client.logout()
    return urlsplit(found).path


def entries(text: str) -> list[tuple[str, str]]:
    """The #EXTINF lines of a playlist, each with its address."""
    head, *lines = text.splitlines()
    assert head == "#EXTM3U"
    return list(zip(lines[::2], lines[1::2], strict=True))


def finished(owner, title: str, **fields) -> Job:
    return Job.objects.create(
        owner=owner,
        title=title,
        mode="half_sbs",
        status="completed",
        total_segments=1,
        finished_at=now(),
        **fields,
    )


def test_a_playlist_names_the_film_as_players_know_it(client, alice, playlist):
    client.force_login(alice)

    response = client.get(playlist)

    [(info, address)] = entries(response.text)
    assert info == "#EXTINF:62,Rain_3D_LRF_Full_SBS"
    assert address.startswith("http://testserver/films/")
    assert address.endswith("/Rain_3D_LRF_Full_SBS.mp4")
    assert response["Content-Type"] == "audio/x-mpegurl; charset=utf-8"
    name = 'attachment; filename="Rain_3D_LRF_Full_SBS.m3u"'
    assert response["Content-Disposition"] == name
    assert response["Cache-Control"] == "no-store"


def test_a_player_without_a_cookie_gets_the_film_and_may_seek_in_it(client, link):
    whole = client.get(link)
    part = client.get(link, headers={"Range": "bytes=3-5"})

    assert (whole.status_code, whole.getvalue()) == (200, b"0123456789")
    assert (part.status_code, part.getvalue()) == (206, b"345")
    assert whole["Content-Type"] == "video/mp4"
    assert client.head(link)["Content-Length"] == "10"
    assert client.post(link).status_code == 405


def test_nothing_of_a_title_is_taken_for_an_artist(client, alice, completed, playlist):
    Job.objects.filter(pk=completed.pk).update(title="Köln, 1945 - Part II")
    client.force_login(alice)

    [(name, link)] = entries(client.get(playlist).text)

    assert name == "#EXTINF:62,Köln 1945 – Part II_3D_LRF_Full_SBS"
    assert unquote(link).endswith("/Köln, 1945 - Part II_3D_LRF_Full_SBS.mp4")


def test_behind_https_the_links_are_https_too(client, alice, playlist, settings):
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    client.force_login(alice)

    headers = {"X-Forwarded-Proto": "https", "Host": "films.example"}
    settings.ALLOWED_HOSTS = ["films.example"]

    page = client.get(playlist, headers=headers)

    assert entries(page.text)[0][1].startswith("https://films.example/films/")


def test_a_link_ends_by_itself(client, link, monkeypatch):
    assert client.head(link).status_code == 200

    late = now().timestamp() + LINK_SECONDS + 1
    monkeypatch.setattr("django.core.signing.time.time", lambda: late)

    assert client.get(link).status_code == 404


@pytest.mark.parametrize(
    "change",
    [
        lambda token: token[:-1] + ("A" if token[-1] != "A" else "B"),
        lambda token: ("A" if token[0] != "A" else "B") + token[1:],
        lambda token: token.rsplit(":", 1)[0],
        lambda _: "x",
    ],
)
def test_a_changed_link_opens_nothing(client, link, change):
    _, films, token, name = link.split("/")
    changed = change(unquote(token))

    assert films == "films"
    assert client.get(f"/films/{changed}/{name}").status_code == 404


def test_a_link_opens_its_own_film_only(client, alice, completed, link):
    other = finished(alice, "Snow")
    storage.result().save(str(FinalKey(other.pk)), ContentFile(b"snow"))

    named = link.rsplit("/", 1)[0] + "/Snow_3D_LR_HSBS.mp4"

    assert client.get(named).getvalue() == b"0123456789"


def test_nothing_opens_once_the_film_is_deleted(client, completed, link):
    ledger.delete(completed.pk)

    assert client.get(link).status_code == 404


def test_a_disabled_account_s_links_are_dead(client, alice, link):
    alice.is_active = False
    alice.save()

    assert client.get(link).status_code == 404


def test_links_that_got_out_die_with_the_password(client, alice, link):
    alice.set_password("a new one")
    alice.save()

    assert client.get(link).status_code == 404


def test_a_link_made_for_staff_ends_when_they_are_no_staff(client, charlie, playlist):
    charlie.is_staff = True
    charlie.save()
    client.force_login(charlie)
    link = urlsplit(entries(client.get(playlist).text)[0][1]).path
    client.logout()
    assert client.head(link).status_code == 200

    charlie.is_staff = False
    charlie.save()

    assert client.get(link).status_code == 404


def test_others_get_no_playlist_and_strangers_have_to_sign_in(
    client, charlie, playlist
):
    for url in (playlist, reverse("playlist")):
        assert client.get(url)["Location"].startswith("/login/")
    client.force_login(charlie)

    assert client.get(playlist).status_code == 404
    assert client.get(reverse("playlist")).text == "#EXTM3U\n"


def test_a_film_that_is_not_finished_is_in_no_playlist(client, alice, job):
    client.force_login(alice)

    assert client.get(reverse("job-playlist", args=[job.pk])).status_code == 404
    assert entries(client.get(reverse("playlist")).text) == []


def test_the_playlist_of_all_has_the_person_s_own_films_newest_first(
    client, alice, charlie, completed
):
    finished(alice, "Snow", created_at=now() + timedelta(minutes=1))
    finished(charlie, "Wind")
    alice.is_staff = True
    alice.save()
    client.force_login(alice)

    response = client.get(reverse("playlist"))

    assert [info for info, _ in entries(response.text)] == [
        "#EXTINF:-1,Snow_3D_LR_HSBS",
        "#EXTINF:62,Rain_3D_LRF_Full_SBS",
    ]


@pytest.mark.parametrize(
    "title",
    [
        "Rain\nhttp://evil.example/film.mp4",
        "Rain\r\n#EXTINF:1,evil",
        "Rain\u2028#EXT-X-KEY:METHOD=NONE",
        "Rain\x85\x0b\x0c\x1c#EXTVLCOPT:run=evil",
        "#EXTM3U",
        "映画<script>.mp4",
        "100 % ?a=b&c#d",
    ],
)
def test_no_title_can_add_a_line_to_a_playlist(client, alice, completed, title):
    Job.objects.update(title=title)
    client.force_login(alice)

    text = client.get(reverse("job-playlist", args=[completed.pk])).text

    [(info, address)] = entries(text)
    assert info.startswith("#EXTINF:62,")
    assert address.startswith("http://testserver/films/")
    assert address.isascii()
    assert not re.search(r"[\s?#]", address)
    assert client.head(urlsplit(address).path).status_code == 200


def test_from_a_bucket_a_link_leads_to_one_that_lives_as_long(
    client, link, settings, monkeypatch
):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    options = {"bucket_name": "films", "region_name": "eu-central-1"}
    result = {"BACKEND": "apps.jobs.storage.Bucket", "OPTIONS": options}
    settings.STORAGES = settings.STORAGES | {"result": result}

    response = client.get(link)

    assert response.status_code == 302
    query = parse_qs(urlsplit(response["Location"]).query)
    lifetime = query.get("X-Amz-Expires") or [
        str(round(int(query["Expires"][0]) - now().timestamp()))
    ]
    assert abs(int(lifetime[0]) - LINK_SECONDS) < 60
    assert "Rain_3D_LRF_Full_SBS.mp4" in query["response-content-disposition"][0]


def test_no_log_line_has_a_link_in_it(client, link):
    token = link.split("/")[2]
    written = io.StringIO()
    [handler] = logging.getLogger().handlers[:1]
    ours = logging.StreamHandler(written)
    formatter = django_settings.LOGGING["formatters"]["json"].copy()
    ours.setFormatter(formatter.pop("()")(**formatter))
    logging.getLogger().addHandler(ours)
    try:
        client.get(link).getvalue()
        client.get(link, headers={"Range": "bytes=99-"})
    finally:
        logging.getLogger().removeHandler(ours)

    assert handler is not ours
    assert "GET /films/…/Rain" in written.getvalue()
    assert "Not Satisfiable: /films/…/Rain" in written.getvalue()
    assert token not in written.getvalue()
    assert unquote(token) not in written.getvalue()
