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
        for name, count in found.items():
            self.stdout.write(f"{count} {name}")
