"""One frame in 3D before the film is uploaded: for whom, of what, and how often."""

from __future__ import annotations

from contextlib import ExitStack

import pytest
from django.http import HttpRequest
from django.test import Client

from apps.jobs import limits
from apps.jobs.views import previews as view
from apps.pipeline import previews
from apps.pipeline.previews.desk import MOST_ASKING
from contract.modes import StereoMode
from tests.media import sources

WIDTH, HEIGHT = 64, 36
RGB = bytes(range(256)) * (3 * WIDTH * HEIGHT // 256)
SETTINGS = {"mode": "half_sbs", "max_disparity": "3", "convergence": "0.4"}
SIZE = {"width": str(WIDTH), "height": str(HEIGHT)}


class Desk:
    """Remembers frames as the real one does, and draws none."""

    def __init__(self) -> None:
        self.asked: list[previews.Question] = []
        self.shown: set[str] = set()
        self.seat = previews.Desk().seat

    def picture(self, question: previews.Question) -> bytes | None:
        self.asked.append(question)
        if question.pixels is not None:
            self.shown.add(question.name)
        return b"jpeg" if question.name in self.shown else None


@pytest.fixture
def desk(monkeypatch) -> Desk:
    desk = Desk()
    monkeypatch.setattr(previews, "desk", desk)
    return desk


def post(client, body: bytes = b"", **query: str):
    return client.post(
        "/preview/",
        body,
        content_type="application/octet-stream",
        query_params=SETTINGS | query,
    )


def test_a_frame_is_sent_once_and_then_named(client, alice, desk):
    client.force_login(alice)

    first = post(client, RGB, **SIZE)
    name = first["Preview-Frame"]
    second = post(client, frame=name, convergence="0.9")

    assert (first.status_code, first.content) == (200, b"jpeg")
    assert first["Content-Type"] == "image/jpeg"
    assert first["Cache-Control"] == "no-store"
    assert second.content == b"jpeg"
    assert [question.settings.convergence for question in desk.asked] == [0.4, 0.9]
    assert desk.asked[0].mode is StereoMode.HALF_SBS
    assert desk.asked[1].pixels is None


def test_who_is_slow_to_send_a_frame_takes_no_seat(client, alice, desk, monkeypatch):
    client.force_login(alice)
    read = HttpRequest.read

    def others_ask(request: HttpRequest, *size: int) -> bytes:
        with ExitStack() as seats:
            for _ in range(MOST_ASKING):
                seats.enter_context(desk.seat())
        return read(request, *size)

    monkeypatch.setattr(HttpRequest, "read", others_ask)

    assert post(client, RGB, **SIZE).status_code == 200


def test_a_frame_that_is_forgotten_is_asked_for_again(client, alice, desk):
    client.force_login(alice)

    assert post(client, frame="0" * 64).status_code == 204


def test_nobody_sees_another_persons_frame(client, alice, charlie, desk):
    client.force_login(alice)
    name = post(client, RGB, **SIZE)["Preview-Frame"]
    client.force_login(charlie)

    assert post(client, frame=name).status_code == 204


@pytest.mark.parametrize(
    ("chosen", "mode"),
    [("packed", "half_sbs"), ("anaglyph", "anaglyph"), ("pair", "sbs")],
)
def test_it_can_be_looked_at_in_three_ways(client, alice, desk, chosen, mode):
    client.force_login(alice)

    post(client, RGB, view=chosen, **SIZE)

    assert desk.asked[0].mode == mode


def test_of_a_film_the_browser_cannot_decode_the_beginning_is_enough(
    client, alice, desk, tmp_path, own_store
):
    film = sources.film(tmp_path / "film.ts", count=30)
    client.force_login(alice)

    answer = post(client, film.read_bytes())

    assert answer.status_code == 200
    pixels = desk.asked[0].pixels
    assert (pixels.width, pixels.height) == sources.SIZE
    assert list((own_store / "tmp").iterdir()) == []


def test_what_is_no_film_is_answered_in_a_sentence(client, alice, desk, own_store):
    client.force_login(alice)

    answer = post(client, b"no film")

    assert answer.status_code == 422
    assert "No frame of this film can be shown" in answer.text
    assert answer["Content-Type"].startswith("text/plain")
    assert list((own_store / "tmp").iterdir()) == []


def test_a_frame_and_its_size_must_agree(client, alice, desk):
    client.force_login(alice)

    assert post(client, RGB[:-1], **SIZE).status_code == 422
    assert desk.asked == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"mode": "hologram"},
        {"max_disparity": "11"},
        {"convergence": "nan"},
        {"view": "x"},
        {"frame": "../../etc"},
        {"width": "wide"},
        {"more": "1"},
    ],
)
def test_what_is_asked_for_wrongly_is_refused(client, alice, desk, wrong):
    client.force_login(alice)

    assert post(client, RGB, **SIZE | wrong).status_code == 400
    assert desk.asked == []


def test_more_than_a_films_beginning_is_not_read(client, alice, desk, monkeypatch):
    monkeypatch.setattr(view, "MOST_BYTES", 100)
    client.force_login(alice)

    answer = post(client, b"x" * 101)

    assert answer.status_code == 413
    assert desk.asked == []


def test_strangers_are_told_to_sign_in(client, db, desk):
    assert post(client, RGB, **SIZE).status_code == 401
    assert client.get("/preview/").status_code == 405


def test_another_site_cannot_ask_in_a_persons_name(alice, desk):
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)

    assert post(client, RGB, **SIZE).status_code == 403
    assert desk.asked == []


def test_frames_cannot_be_sent_as_fast_as_one_likes(client, alice, desk):
    client.force_login(alice)
    for _ in range(view.FRAMES.free):
        limits.count(view.FRAMES, alice.pk)

    answer = post(client, RGB, **SIZE)

    assert answer.status_code == 429
    assert answer["Retry-After"]
    assert desk.asked == []


def test_when_too_many_ask_at_once_one_is_told_to_wait(client, alice, desk):
    client.force_login(alice)

    with desk.seat(), desk.seat(), desk.seat(), desk.seat():
        answer = post(client, RGB, **SIZE)

    assert answer.status_code == 429
    assert "busy" in answer.text


def test_a_site_that_cannot_make_previews_says_so(client, alice, monkeypatch):
    monkeypatch.setattr(previews, "are_possible", lambda: False)
    client.force_login(alice)

    assert "This site makes no previews" in client.get("/jobs/new/").text
    assert post(client, RGB, **SIZE).status_code == 404
