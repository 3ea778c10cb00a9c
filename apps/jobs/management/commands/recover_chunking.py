"""`manage.py recover_chunking JOB`: a film whose cutting went wrong goes on."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.jobs import ledger, storage
from apps.jobs.management.arguments import existing_job
from apps.jobs.models import Job, Segment
from apps.pipeline import messages, retrying
from apps.pipeline.queues import SQS_AWAY
from apps.pipeline.resending import resend
from contract.errors import StereoSpotError
from contract.keys import segments_prefix

_REFUSED = {
    Job.Status.CREATED: "waits for its film: upload that first.",
    Job.Status.COMPLETED: "is completed: there is nothing to recover.",
    Job.Status.CANCELLED: "is cancelled: convert the film anew.",
}

_WENT_ON = "it went on meanwhile; nothing was changed."


class Command(BaseCommand):
    help = "Look at what cutting a film left, and do again what is missing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("job", metavar="JOB", help="its id")

    def handle(self, *args: Any, job: str, **options: Any) -> None:
        chosen = existing_job(job)
        refusal = _REFUSED.get(Job.Status(chosen.status))
        if refusal is not None:
            raise CommandError(f"“{chosen.title}” {refusal}")
        try:
            self.stdout.write(f"“{chosen.title}”: {_recovered(chosen)}")
        except StereoSpotError as error:
            raise CommandError(f"{error} [{error.code}]") from error
        except SQS_AWAY as error:
            raise CommandError(
                "It is recorded, but the queue does not answer; "
                f"the sweep sends it once it does: {error}"
            ) from error


def _recovered(job: Job) -> str:
    """What was done, in a sentence."""
    if ledger.is_alive(job.lease_expires_at):
        return "a worker is at it; nothing was changed."
    match job.status:
        case Job.Status.FAILED:
            return _retried(job)
        case Job.Status.INGESTING:
            resend(job)
            what = "making" if job.get_prompt() else "fetching"
            return f"its film is not there yet; {what} it was sent again."
        case Job.Status.CHUNKING:
            resend(job)
            return "no worker was at it; cutting was sent again."
        case Job.Status.CHUNKED:
            return _looked_after(job)
        case _:
            return "every segment is converted, so nothing is missing from cutting."


def _retried(job: Job) -> str:
    again = retrying.retry(job.pk)
    if again is None:
        return _WENT_ON
    messages.send_retry(again)
    if again.status == Job.Status.INGESTING:
        what = "made" if again.get_prompt() else "fetched"
        return f"it had failed, and its film is {what} again."
    if again.status == Job.Status.CHUNKING:
        return "it had failed, and is cut again."
    return "it had failed, and goes on from what is done."


def _looked_after(job: Job) -> str:
    """Cut again a film whose conversion waits for segment objects that are gone."""
    with storage.translated():
        there = storage.source().keys(segments_prefix(job.pk))
    undone = job.segments.exclude(status=Segment.Status.DONE).select_related("job")
    missing = sum(not segment.cut_keys <= there for segment in undone)
    if not missing:
        return "nothing is missing."
    again = ledger.recut(job.pk)
    if again is None:
        return _WENT_ON
    messages.send_stage(again)
    were = "1 segment was" if missing == 1 else f"{missing} segments were"
    return f"{were} missing from the store, so the film is cut again."
