"""What was asked of an inference server or endpoint, and whether it has answered."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, TypeAlias
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Coalesce, Now
from django.utils.timezone import now

from apps.jobs.ledger import rows
from apps.jobs.ledger.rows import DELIVERY
from apps.jobs.models import Invocation, Job, Segment

Owner: TypeAlias = Segment | Job
"""What an invocation is for: a segment to convert, or a job whose clip is to be made."""

_OF_A_CLIP = Q(segment_index=None)
_CLIP_IN_HAND = _OF_A_CLIP & Q(
    job__status=Job.Status.INGESTING, job__lease_expires_at__isnull=False
)

LOCK = 0x53_53_49_4E
"""PostgreSQL advisory lock: in the whole system one at a time opens an invocation."""


@transaction.atomic
def open_invocation(
    owner: Owner, *, backend: str, lasting: timedelta
) -> Invocation | None:
    """The owner's invocation: the one that is under way, or a new one.

    None when as many are under way as may be (`INFERENCE_MAX_IN_FLIGHT`). A new one that
    is not sent counts as long as somebody has its owner in hand.
    """
    names = _names(owner)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
    found = Invocation.objects.filter(**names, answered_at=None)
    # Of another backend: the environment has changed, and nobody knows how to ask it.
    found.exclude(backend=backend).update(
        answered_at=now(), outcome=Invocation.Outcome.LOST
    )
    mine = found.first()
    if mine and mine.is_under_way:
        return mine
    others = _in_flight().exclude(pk__in=found)
    if others.count() >= settings.INFERENCE_MAX_IN_FLIGHT:
        return None
    opened, _ = Invocation.objects.update_or_create(
        **names,
        answered_at=None,
        defaults={
            "backend": backend,
            "attempt": owner.attempt,
            "inference_id": _inference_id(owner),
            "expires_at": now() + lasting,
            "opened_at": now(),
            # Until somebody says that it has begun.
            "is_waiting": True,
            "begun_at": None,
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
    """Whether it waits for a GPU, for people to see; and since when it has had one."""
    facts: dict[str, object] = {"is_waiting": is_waiting}
    if not is_waiting:
        facts["begun_at"] = Coalesce("begun_at", Now())
    _open(invocation).update(**facts)
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


def is_wanted(owner: Owner) -> bool:
    """Whether somebody will go on with it, though not this attempt."""
    if isinstance(owner, Job):
        return Job.objects.filter(pk=owner.pk, status=Job.Status.INGESTING).exists()
    return Segment.objects.filter(
        pk=owner.pk,
        status__in=[Segment.Status.PENDING, Segment.Status.RUNNING],
        job__status=Job.Status.CHUNKED,
    ).exists()


def unwanted_invocations(number: int) -> list[Invocation]:
    """Some, `number` at most, whose job was stopped or whose film was cut again, and
    which are answered to nobody else than who asks; each with its job."""
    converting = Q(segment__isnull=False, job__status=Job.Status.CHUNKED)
    making = _OF_A_CLIP & Q(job__status=Job.Status.INGESTING)
    asked = Invocation.objects.filter(answered_at=None, success_uri="")
    unwanted = asked.filter(~(converting | making), expires_at__gt=now())
    unwanted = unwanted.select_related("job")
    return list(unwanted.order_by("?")[:number])


def unattended_invocations(number: int) -> list[Invocation]:
    """Some, `number` at most, that are under way and nobody waits for."""
    under_way = Invocation.objects.filter(answered_at=None, expires_at__gt=now())
    nobody = ~Q(segment__status=Segment.Status.RUNNING) | Q(segment=None)
    unattended = under_way.exclude(success_uri="").filter(nobody & ~_CLIP_IN_HAND)
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
    attended = Q(segment__status=Segment.Status.RUNNING) | _CLIP_IN_HAND
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


@transaction.atomic
def hasten_clip(job_id: UUID) -> Job | None:
    """As `hasten`, of the clip of a job's prompt."""
    job = rows.lock_job(job_id)
    if job is None or job.status != Job.Status.INGESTING or job.lease_expires_at:
        return None
    under_way = Invocation.objects.filter(_OF_A_CLIP, job=job, answered_at=None)
    is_due = job.notify_at is not None and job.notify_at > now() + DELIVERY
    if not is_due or not under_way.exclude(success_uri="").exists():
        return None
    job.notify_at = now() + DELIVERY
    job.save(update_fields=["notify_at"])
    return job


def _names(owner: Owner) -> dict[str, Any]:
    """The columns by which an invocation says what it is for."""
    if isinstance(owner, Job):
        return {"job_id": owner.pk, "segment": None, "segment_index": None}
    return {"job_id": owner.job_id, "segment": owner, "segment_index": owner.index}


def _inference_id(owner: Owner) -> str:
    if isinstance(owner, Job):
        return f"{owner.pk}-clip-{owner.attempt}"
    return f"{owner.job_id}-{owner.index}-{owner.attempt}"
