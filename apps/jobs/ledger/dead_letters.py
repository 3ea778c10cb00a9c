"""Messages that the queue gave up: recorded once, settled once."""

from __future__ import annotations

from uuid import UUID

from django.db import transaction
from django.utils.timezone import now

from apps.jobs.ledger import rows
from apps.jobs.models import DeadLetter


@transaction.atomic
def bury(letter: DeadLetter, job_id: UUID | None) -> bool:
    """Record the letter, and on the job that it names, if there is one.

    True for the one caller who did; it may be delivered again before it is deleted.
    """
    # Locked, or the job could be gone when this is committed.
    job = rows.lock_job(job_id) if job_id else None
    facts = {
        "body": letter.body,
        "task": letter.task,
        "task_id": letter.task_id,
        "job": job,
        "segment_index": letter.segment_index,
        "deliveries": letter.deliveries,
        "reason": letter.reason,
        "sent_at": letter.sent_at,
    }
    _, buried = DeadLetter.objects.get_or_create(
        queue=letter.queue, message_id=letter.message_id, defaults=facts
    )
    if buried and job is not None:
        rows.note(job.pk, "dead-letter", letter.reason, letter.segment_index)
    return buried


def settle(letter_id: int, status: DeadLetter.Status) -> bool:
    """Say what becomes of a waiting letter; True for the one caller who did."""
    waiting = DeadLetter.objects.filter(pk=letter_id, status=DeadLetter.Status.WAITING)
    return waiting.update(status=status, settled_at=now()) == 1


def unsettle(letter_id: int) -> None:
    """It could not be sent again after all."""
    redriven = DeadLetter.objects.filter(
        pk=letter_id, status=DeadLetter.Status.REDRIVEN
    )
    redriven.update(status=DeadLetter.Status.WAITING, settled_at=None)
