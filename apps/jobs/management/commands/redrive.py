"""`manage.py redrive [JOB]`: send again what was lost, now.

Safe at any time and however often: a message that comes twice does nothing twice.
"""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db.models import QuerySet

from apps.jobs.management.arguments import existing_job
from apps.jobs.models import ACTIVE, DeadLetter, Job
from apps.pipeline import dead_letters
from apps.pipeline.queues import SQS_AWAY, QueueAwayError
from apps.pipeline.resending import resend


class Command(BaseCommand):
    help = "Send again what the queue gave up, and what active jobs wait for."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "job", nargs="?", metavar="JOB", help="only this one, by its id"
        )

    def handle(self, *args: Any, job: str | None, **options: Any) -> None:
        letters = DeadLetter.objects.filter(status=DeadLetter.Status.WAITING)
        jobs = Job.objects.filter(status__in=ACTIVE)
        if job is not None:
            chosen = existing_job(job)
            letters = letters.filter(job=chosen)
            jobs = jobs.filter(pk=chosen.pk)
        try:
            changed = self._redrive(letters) + self._resend(jobs)
        except (QueueAwayError, *SQS_AWAY) as error:
            raise CommandError(
                f"The queue does not answer, so run this again later: {error}"
            ) from error
        if not changed:
            self.stdout.write("Nothing was to be sent: nobody waits for a message.")

    def _redrive(self, letters: QuerySet[DeadLetter]) -> int:
        sent = 0
        for pk in letters.order_by("id").values_list("pk", flat=True):
            sent += dead_letters.redrive(pk)
        if sent:
            messages = "1 message" if sent == 1 else f"{sent} messages"
            self.stdout.write(f"{messages} that the queue had given up went out again.")
        return sent

    def _resend(self, jobs: QuerySet[Job]) -> int:
        changed = 0
        for job in jobs.order_by("created_at"):
            sent = resend(job)
            if sent:
                messages = "1 message" if sent == 1 else f"{sent} messages"
                self.stdout.write(f"“{job.title}” ({job.pk}): sent {messages} again.")
            changed += sent
        return changed
