"""`manage.py administrator`: the first person who may sign in, on any machine.

For a start-up script: where there is an administrator with a password, nothing happens.
`DJANGO_SUPERUSER_USERNAME`, `_EMAIL` and `_PASSWORD` are Django's own variables. Without a
password one is made, and printed in the one run that made it.
"""

from __future__ import annotations

import os
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db import connection, transaction

from apps.jobs.accounts import NAME, administrator, first_password

LOCK = 0x53_53_41_44
"""PostgreSQL advisory lock: of two containers that start at once, one makes the person."""


class Command(BaseCommand):
    help = "Make the first administrator, unless there is one who can sign in."

    def handle(self, *args: Any, **options: Any) -> None:
        name = os.environ.get("DJANGO_SUPERUSER_USERNAME") or NAME
        given = os.environ.get("DJANGO_SUPERUSER_PASSWORD") or None
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
            user = administrator(name, os.environ.get("DJANGO_SUPERUSER_EMAIL", ""))
            if user.has_usable_password():
                self.stdout.write(f"{user.username} is administrator already.")
                return
            if given:
                try:
                    validate_password(given, user)
                except ValidationError as error:
                    raise CommandError(
                        f"DJANGO_SUPERUSER_PASSWORD: {' '.join(error.messages)}"
                    ) from error
            made = first_password(user, given)
        self.stdout.write(f"{user.username} is the first administrator.")
        if made and not given:
            self.stdout.write(f"Password, shown this once: {made}")
