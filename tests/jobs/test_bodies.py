"""No form brings a file, whoever sends it."""

from __future__ import annotations

import pytest
from django.core.files import uploadhandler
from django.core.files.uploadedfile import SimpleUploadedFile


@pytest.fixture
def kept(monkeypatch) -> list[str]:
    """The names of the files that Django begins to keep on the disk."""
    names: list[str] = []

    class Kept(uploadhandler.TemporaryUploadedFile):
        def __init__(self, name: str, *facts: object) -> None:
            names.append(name)
            super().__init__(name, *facts)

    monkeypatch.setattr(uploadhandler, "TemporaryUploadedFile", Kept)
    return names


def send(client, size: int):
    film = SimpleUploadedFile("film.mp4", b"x" * size)
    return client.post("/login/", {"username": "alice", "file": film})


def test_a_stranger_s_file_is_kept_nowhere(client, db, kept):
    answer = send(client, 8_000_000)

    assert answer.status_code == 200  # the form again: it lacks a password
    assert kept == []


def test_django_by_itself_would_keep_it(client, db, kept, settings):
    settings.FILE_UPLOAD_HANDLERS = [
        "django.core.files.uploadhandler.TemporaryFileUploadHandler"
    ]

    send(client, 8_000_000)

    assert kept == ["film.mp4"]


def test_what_stands_before_the_file_is_read(client, db):
    assert 'value="alice"' in send(client, 1).text
