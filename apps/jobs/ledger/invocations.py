"""What was asked of an inference server or endpoint, and whether it has answered."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q, QuerySet
from django.utils.timezone import now

from apps.jobs.ledger import rows
from apps.jobs.ledger.rows import DELIVERY
from apps.jobs.models import Invocation, Job, Segment

LOCK = 0x53_53_49_4E
"""PostgreSQL advisory lock: in the whole system one at a time opens an invocation."""


@transaction.atomic
def open_invocation(
    segment: Segment, *, backend: str, lasting: timedelta
) -> Invocation | None:
    """The segment's invocation: the one that is under way, or a new one.

    None when as many are under way as may be (`INFERENCE_MAX_IN_FLIGHT`). A new one that
    is not sent counts as long as somebody has its segment in hand.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
    found = Invocation.objects.filter(segment=segment, answered_at=None)
    # Of another backend: the environment has changed, and nobody knows how to ask it.
    found.exclude(backend=backend).update(
        answered_at=now(), outcome=Invocation.Outcome.LOST
    )
    mine = found.first()
    if mine and mine.is_under_way:
        return mine
    others = _in_flight().exclude(segment=segment)
    if others.count() >= settings.INFERENCE_MAX_IN_FLIGHT:
        return None
    opened, _ = Invocation.objects.update_or_create(
        segment=segment,
        answered_at=None,
        defaults={
            "job_id": segment.job_id,
            "segment_index": segment.index,
            "backend": backend,
            "attempt": segment.attempt,
            "inference_id": f"{segment.job_id}-{segment.index}-{segment.attempt}",
            "expires_at": now() + lasting,
            # Until somebody says that it has begun.
            "is_waiting": True,
        },
    )
    return opened


def note_accepted(
    invocation: Invocation, success_uri: str, failure_uri: str, *, expires_at: datetime
) -> None:
    """The other side has it, and will say there what became of it."""
    facts = {
        "success_uri": success_uri,
        "failure_uri": failure_uri,
        "sent_at": now(),
        "expires_at": expires_at,
    }
    _open(invocation).update(**facts)
    for name, value in facts.items():
        setattr(invocation, name, value)


def sent_before(invocation: Invocation) -> int:
    """How many that were accepted before it have not been answered."""
    accepted = Invocation.objects.filter(answered_at=None, expires_at__gt=now())
    others = accepted.filter(backend=invocation.backend).exclude(pk=invocation.pk)
    return others.filter(sent_at__lt=invocation.sent_at).count()


def note_waiting(invocation: Invocation, *, is_waiting: bool) -> None:
    """Whether it waits for a GPU, for people to see."""
    _open(invocation).update(is_waiting=is_waiting)
    invocation.is_waiting = is_waiting


def close_invocation(invocation: Invocation, outcome: Invocation.Outcome) -> bool:
    """It was answered, or never will be; True for the caller who closed it."""
    closed = _open(invocation).update(
        answered_at=now(), outcome=outcome, is_waiting=False
    )
    return closed == 1


def note_over(invocation: Invocation) -> None:
    """It was answered while nobody waited: no GPU is busy with it any more.

    It stays open, for whoever takes its segment up again to read the answer.
    """
    _open(invocation).update(expires_at=now(), is_waiting=False)


def is_wanted(segment: Segment) -> bool:
    """Whether somebody will go on with the segment, though not this attempt."""
    return Segment.objects.filter(
        pk=segment.pk,
        status__in=[Segment.Status.PENDING, Segment.Status.RUNNING],
        job__status=Job.Status.CHUNKED,
    ).exists()


def unwanted_invocations(number: int) -> list[Invocation]:
    """Some, `number` at most, whose job was stopped or whose film was cut again, and
    which are answered to nobody else than who asks."""
    stopped = ~Q(job__status=Job.Status.CHUNKED) | Q(segment=None)
    asked = Invocation.objects.filter(answered_at=None, success_uri="")
    unwanted = asked.filter(stopped, expires_at__gt=now())
    return list(unwanted.order_by("?")[:number])


def unattended_invocations(number: int) -> list[Invocation]:
    """Some, `number` at most, that are under way and nobody waits for."""
    under_way = Invocation.objects.filter(answered_at=None, expires_at__gt=now())
    nobody = ~Q(segment__status=Segment.Status.RUNNING) | Q(segment=None)
    unattended = under_way.exclude(success_uri="").filter(nobody)
    # At random: of more than these each has its turn.
    return list(unattended.order_by("?")[:number])


def pause_segment(segment: Segment, *, seconds: int) -> bool:
    """Nobody has failed, but its turn has not come: others go on after a pause."""
    paused = rows.held_segment(segment).update(
        status=Segment.Status.PENDING,
        lease_expires_at=None,
        notify_at=now() + timedelta(seconds=seconds) + DELIVERY,
    )
    return paused == 1


def _in_flight() -> QuerySet[Invocation]:
    """Those that a GPU may be busy with, or is about to be."""
    attended = Q(segment__status=Segment.Status.RUNNING)
    return Invocation.objects.filter(
        ~Q(success_uri="") | attended, answered_at=None, expires_at__gt=now()
    )


def _open(invocation: Invocation) -> QuerySet[Invocation]:
    return Invocation.objects.filter(pk=invocation.pk, answered_at=None)


@transaction.atomic
def hasten(job_id: UUID, index: int) -> Segment | None:
    """Its invocation may be answered, and nobody waits for it: who sends its message.

    None for all others, and for whoever comes second.
    """
    rows.lock_job(job_id)
    segment = rows.lock_segment(job_id, index)
    if segment is None or segment.status != Segment.Status.PENDING:
        return None
    under_way = Invocation.objects.filter(segment=segment, answered_at=None)
    is_due = segment.notify_at is not None and segment.notify_at > now() + DELIVERY
    if not is_due or not under_way.exclude(success_uri="").exists():
        return None
    segment.notify_at = now() + DELIVERY
    segment.save(update_fields=["notify_at"])
    return segment
