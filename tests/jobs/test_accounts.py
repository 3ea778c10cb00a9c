from __future__ import annotations

import pytest
from django.contrib.auth import authenticate
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from apps.jobs.accounts import administrator, first_password
from tests.concurrency import at_once

pytestmark = pytest.mark.django_db


def test_the_first_administrator_is_made_once_and_cannot_sign_in_yet():
    made = administrator()

    assert administrator() == made
    assert made.is_superuser
    assert not made.has_usable_password()


def test_the_first_password_is_told_once_and_lets_them_in():
    password = first_password(administrator())

    assert authenticate(username="admin", password=password) == administrator()
    assert first_password(administrator()) is None


def test_an_administrator_who_is_there_already_keeps_their_password():
    dora = User.objects.create_superuser("dora", password="a good password")

    assert administrator() == dora
    assert first_password(administrator()) is None


@pytest.fixture
def told(capsys, monkeypatch):
    """What the command prints, with these variables in the environment."""

    def told(**variables: str) -> str:
        for name, value in variables.items():
            monkeypatch.setenv(f"DJANGO_SUPERUSER_{name}", value)
        call_command("administrator")
        return capsys.readouterr().out

    return told


def test_a_server_s_first_administrator_has_the_password_it_was_given_and_nobody_prints_it(
    told,
):
    out = told(USERNAME="dora", EMAIL="dora@films.example", PASSWORD="a fine horse")

    assert authenticate(username="dora", password="a fine horse").is_superuser
    assert "fine horse" not in out
    assert "dora is administrator already" in told()


def test_without_a_password_one_is_made_and_printed_by_the_first_run_only(told):
    first = told()
    password = first.rsplit(": ", 1)[1].strip()

    assert authenticate(username="admin", password=password) is not None
    assert "assword" not in told()


def test_who_changed_their_password_keeps_it_over_every_restart(told):
    told(PASSWORD="a fine horse")
    admin = User.objects.get()
    admin.set_password("my own words")
    admin.save()

    told()

    assert authenticate(username="admin", password="my own words") == admin


def test_a_password_that_anybody_guesses_is_refused_and_nobody_is_made(told):
    with pytest.raises(CommandError, match=r"DJANGO_SUPERUSER_PASSWORD.*too common"):
        told(PASSWORD="password")

    assert not User.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_of_two_containers_that_start_at_once_one_makes_the_administrator(monkeypatch):
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", "a fine horse")

    at_once([lambda: call_command("administrator", verbosity=0)] * 3)

    assert User.objects.count() == 1
