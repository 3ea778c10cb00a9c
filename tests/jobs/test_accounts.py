from __future__ import annotations

import pytest
from django.contrib.auth import authenticate
from django.contrib.auth.models import User

from apps.jobs.accounts import administrator, first_password

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
