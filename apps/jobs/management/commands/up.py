"""`manage.py up`: the whole stack on this machine until Ctrl-C."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from apps.jobs.accounts import administrator, first_password
from stereospot.postgres import EmbeddedError
from stereospot.stack import Stack, stop_when_told
from stereospot.supervisor import KeepsDyingError


class Command(BaseCommand):
    help = "Run the whole stack on this machine: database, queue, workers, pages."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--address", default="127.0.0.1:8000", help="of the pages")

    def handle(self, *args: Any, address: str, **options: Any) -> None:
        stop_when_told()
        try:
            with Stack(web_address=address) as stack:
                self._greet(address, stack)
                while True:
                    time.sleep(1)
                    stack.watch()
        except (EmbeddedError, KeepsDyingError) as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            self.stdout.write("Stopped. What was being converted goes on next time.")

    def _greet(self, address: str, stack: Stack) -> None:
        user = administrator()
        password = first_password(user)
        host = address.replace("127.0.0.1", "localhost")
        self.stdout.write(f"StereoSpot runs at http://{host}/ (Ctrl-C stops it).")
        if password:
            self.stdout.write(f"Sign in as {user.username} with password {password}")
            self.stdout.write("It is shown this once; change it under /admin/.")
        if stack.flower_url:
            self.stdout.write(
                f"Flower: http://{host}/flower/ for staff, and {stack.flower_url}/flower/"
            )
        self.stdout.write(f"Logs are in {settings.DATA_DIR / 'logs'}.")
        self.stdout.flush()
