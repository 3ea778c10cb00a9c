"""The first administrator of a machine, who also owns what `convert` converts."""

from __future__ import annotations

import secrets

from django.contrib.auth.models import User

NAME = "admin"


def first_administrator() -> tuple[User, str | None]:
    """The administrator, and the password if it was made just now: it is shown once."""
    found = User.objects.filter(is_superuser=True).order_by("pk").first()
    if found is not None:
        return found, None
    password = secrets.token_urlsafe(12)
    return User.objects.create_superuser(NAME, password=password), password
