"""Many films of one machine: which, under which names, and what becomes of each."""

from __future__ import annotations

import os
from io import StringIO
from pathlib import Path

import pytest
from django.core.files.base import ContentFile
from django.core.management import CommandError, call_command
from django.utils.timezone import now

from apps.jobs import local, storage
from apps.jobs.batch import Batch, films_in, target_in, title_among
from apps.jobs.models import Job


@pytest.fixture(autouse=True)
def sent(monkeypatch) -> list[str]:
    """The titles of the films whose work has begun."""
    titles: list[str] = []
    note = titles.append
    monkeypatch.setattr("apps.jobs.local.messages.send_stage", lambda j: note(j.title))
    monkeypatch.setattr("apps.jobs.local.messages.send_retry", lambda j: note(j.title))
    return titles


@pytest.fixture
def films(tmp_path: Path) -> Path:
    folder = tmp_path / "films"
    for name in ("b.mkv", "a.mp4", "A.TS", "notes.txt", ".hidden.mp4", "below/c.avi"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
    return folder


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "3d").mkdir()
    return tmp_path / "3d"


def request(film: Path, target: Path, **others: object) -> local.Request:
    wishes = {"mode": "sbs", "engine": "preview", "max_disparity": 2.0}
    return local.Request.checked(film, target, **wishes, convergence=0.5, **others)


def complete(job: Job, content: bytes = b"final") -> None:
    """As if the pipeline had done it."""
    storage.result().save(job.final_key, ContentFile(content))
    Job.objects.filter(pk=job.pk).update(
        status="completed", finished_at=now(), notify_at=None, total_segments=1
    )


def names(films) -> list[str]:
    return [path.name for path in films]


def test_the_films_of_a_folder_are_those_that_are_called_like_films(films, target):
    assert names(films_in(films, target=target)) == ["A.TS", "a.mp4", "b.mkv"]


def test_a_pattern_says_which_and_how_far_below(films, target):
    assert names(films_in(films, "*.mkv", target=target)) == ["b.mkv"]
    assert names(films_in(films, "**/*.avi", target=target)) == ["c.avi"]


def test_what_was_made_before_is_no_film_to_convert(films):
    (films / "a_3D_LRF_Full_SBS.mp4").write_bytes(b"ours")

    assert names(films_in(films, target=films)) == ["A.TS", "a.mp4", "b.mkv"]


def test_two_films_that_differ_in_their_endings_keep_apart(films):
    (films / "b.mp4").write_bytes(b"another film")

    assert title_among(films / "a.mp4") == "a"
    assert title_among(films / "b.mkv") == "b.mkv"
    assert title_among(films / "b.mp4") == "b.mp4"


def test_finals_lie_below_the_target_as_their_films_below_the_folder(films, target):
    assert target_in(target, films / "below/c.avi", folder=films) == target / "below"
    assert target_in(target, films / "a.mp4", folder=films) == target


def test_so_many_films_are_on_their_way_at_once_and_no_more(db, films, target, sent):
    batch = Batch(lambda film: request(film, target), at_once=2)
    batch.add(films_in(films, target=target))

    assert list(batch.step()) == []
    assert sent == ["A", "a"]
    complete(batch.running[0])
    (outcome,) = batch.step()
    assert outcome.target == target / "A_3D_LRF_Full_SBS.mp4"
    assert outcome.target.read_bytes() == b"final"
    list(batch.step())
    assert sent == ["A", "a", "b"]
    assert not batch.is_idle


def test_a_film_that_fails_is_told_and_stops_no_other(db, films, target, sent):
    os.truncate(films / "a.mp4", 0)
    batch = Batch(lambda film: request(film, target), at_once=1)
    batch.add([films / "missing.mp4", films / "a.mp4", films / "b.mkv"])

    (missing,) = batch.step()
    assert "missing.mp4 cannot be read" in missing.reason
    Job.objects.filter(pk=batch.running[0].pk).update(
        status="failed",
        finished_at=now(),
        notify_at=None,
        error_code="empty-file",
        error_message="The file is empty.",
    )
    (empty,) = batch.step()
    assert empty.reason == "a.mp4: The file is empty. [empty-file]"
    list(batch.step())
    assert sent == ["a", "b"]


def test_the_same_batch_again_goes_on_where_it_stopped(db, films, target, sent):
    chosen = [films / "a.mp4", films / "b.mkv"]
    first = Batch(lambda film: request(film, target), at_once=2)
    first.add(chosen)
    list(first.step())
    complete(first.running[0])

    again = Batch(lambda film: request(film, target), at_once=2)
    again.add(chosen)
    (done,) = again.step()

    assert done.source == films / "a.mp4"
    assert done.target.read_bytes() == b"final"
    assert [job.title for job in again.running] == ["b"]
    assert sent == ["a", "b"]
    assert Job.objects.count() == 2


def test_a_final_that_is_there_already_is_left_alone(db, films, target):
    asked = request(films / "a.mp4", target)
    job = local.begin(asked)
    complete(job)
    job.refresh_from_db()
    first = local.delivered(job, asked)
    before = first.stat()

    assert local.delivered(job, asked) == first
    assert first.stat().st_ino == before.st_ino


def test_a_final_that_somebody_has_changed_is_written_again(db, films, target):
    asked = request(films / "a.mp4", target)
    job = local.begin(asked)
    complete(job)
    job.refresh_from_db()
    local.delivered(job, asked).write_bytes(b"fin")

    assert local.delivered(job, asked).read_bytes() == b"final"


def test_who_only_watches_brings_no_film_a_second_time(db, films, target, sent):
    asked = request(films / "a.mp4", target)
    assert not local.was_delivered(asked)
    job = local.begin(asked)
    complete(job)
    job.refresh_from_db()
    local.delivered(job, asked).rename(films.parent / "elsewhere.mp4")

    batch = Batch(lambda film: asked, at_once=1, skip=local.was_delivered)
    batch.add([films / "a.mp4"])

    assert list(batch.step()) == []
    assert batch.is_idle
    assert list(target.iterdir()) == []


@pytest.mark.parametrize(
    ("command", "advice"),
    [
        (["convert", "FILMS", "FILMS/a.mp4"], "is a file: name a folder"),
        (["convert", "FILMS/below", "OUT", "--pattern", "*.mp4"], "no film"),
        (["convert", "FILMS", "OUT", "--pattern", "/etc/*"], "--pattern"),
        (["convert", "FILMS", "OUT", "--depth", "d.mkv"], "belongs to one film"),
        (["watch", "FILMS/none", "OUT"], "is no folder"),
        (["watch", "FILMS", "FILMS/none"], "is no folder"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_starts(
    films, target, command, advice
):
    words = [
        w.replace("FILMS", str(films)).replace("OUT", str(target)) for w in command
    ]

    with pytest.raises(CommandError, match=advice):
        call_command(*words, stdout=StringIO(), stderr=StringIO())


@pytest.mark.parametrize("number", ["0", "-1", "many", "1000"])
def test_how_many_at_once_is_a_number(films, target, number):
    with pytest.raises(CommandError, match="from 1 to 100"):
        call_command("convert", str(films), str(target), "--at-once", number)
