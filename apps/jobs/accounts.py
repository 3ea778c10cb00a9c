"""The first administrator of a machine, who also owns what `convert` converts."""

from __future__ import annotations

import secrets

from django.contrib.auth.models import User

NAME = "admin"


def administrator(name: str = NAME, email: str = "") -> User:
    """The first administrator; made here, nobody can sign in as them yet."""
    found = User.objects.filter(is_superuser=True).order_by("pk").first()
    return found or User.objects.create_superuser(name, email)


def first_password(user: User, given: str | None = None) -> str | None:
    """A password for who has never had one, to be shown once; None for all others."""
    if user.has_usable_password():
        return None
    password = given or secrets.token_urlsafe(12)
    user.set_password(password)
    user.save(update_fields=["password"])
    return password
