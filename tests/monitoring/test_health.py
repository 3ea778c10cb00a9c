"""Whether the process answers, and whether what it stands on does."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from django.db import OperationalError

from apps.monitoring.views import ready
from stereospot import health


def test_the_process_is_healthy_under_any_name_and_without_a_database(client, settings):
    settings.SECURE_SSL_REDIRECT = True

    answer = client.get("/healthz", headers={"Host": "10.0.3.17:8000"})

    assert (answer.status_code, answer.content) == (200, b"ok\n")


def test_ready_when_database_broker_and_storage_answer(client, db):
    answer = client.get("/readyz")

    assert answer.status_code == 200
    assert answer.json() == {"ready": True}


def test_staff_learns_what_is_wrong_and_others_that_something_is(
    client, admin_client, monkeypatch
):
    def away() -> None:
        raise OSError("the disk is gone")

    monkeypatch.setitem(ready.PARTS, "storage", away)

    assert client.get("/readyz").json() == {"ready": False}
    answer = admin_client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json() == {
        "ready": False,
        "database": "ok",
        "broker": "ok",
        "storage": "OSError: the disk is gone",
    }


def test_without_the_database_nobody_is_asked_who_he_is(client, monkeypatch):
    def away() -> None:
        raise OperationalError("connection refused")

    monkeypatch.setitem(ready.PARTS, "database", away)

    answer = client.get("/readyz")

    assert answer.status_code == 503
    assert answer.json() == {"ready": False}


def test_what_says_nothing_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(ready, "MOST_SECONDS", 0.2)
    monkeypatch.setattr(
        ready, "PARTS", {"storage": lambda: time.sleep(2), "broker": lambda: None}
    )

    assert ready.looked() == {"storage": "no answer within 0.2 s", "broker": ""}


@pytest.mark.parametrize(
    ("command", "is_well"),
    [
        ("celery -A stereospot worker -Q gpu", False),
        ("celery -A stereospot.flower flower --port=5555", False),
        ("gunicorn stereospot.wsgi", False),
        ("python manage.py bridge", False),
        ("celery -A stereospot beat", True),
        ("python manage.py migrate", True),
    ],
)
def test_a_container_is_asked_for_what_it_was_started_for(
    command, is_well, tmp_path, monkeypatch
):
    """Here neither a worker, nor Flower, nor the site, nor the bridge runs."""
    file: Path = tmp_path / "cmdline"
    file.write_bytes(command.replace(" ", "\0").encode())
    monkeypatch.setattr(health, "FIRST_PROCESS", file)
    monkeypatch.setattr(health, "FLOWER_PORT", 9)
    monkeypatch.setenv("STEREOSPOT_DATA_DIR", str(tmp_path))

    assert (health.main(["127.0.0.1:9"]) == 0) is is_well
