"""`manage.py sweep`: one round of the sweep, now."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from apps.pipeline.sweep import sweep


class Command(BaseCommand):
    help = "Find work whose message or worker was lost, and send it again."

    def handle(self, *args: Any, **options: Any) -> None:
        found = sweep()
        if not found:
            self.stdout.write("Another sweep is at work; nothing done.")
        elif not any(found.values()):
            self.stdout.write("Nothing was lost.")
        for what, count in found.items():
            if count:
                self.stdout.write(f"Found {count} {_counted(what, count)}.")


def _counted(what: str, count: int) -> str:
    """`segments whose worker was lost`, or one of them: the first word is the noun."""
    things, rest = what.split(" ", 1)
    return f"{things.removesuffix('s') if count == 1 else things} {rest}"
