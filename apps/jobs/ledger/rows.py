"""What the ledger's functions share: locking, moving, failing and noting.

Everything here is called inside the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import QuerySet
from django.utils.timezone import now

from apps.jobs.ledger import charges
from apps.jobs.ledger.announcing import announce
from apps.jobs.ledger.following import follow
from apps.jobs.models import ACTIVE, OVER, TIDIED, Event, Job, Segment
from contract.errors import Blame, ErrorCode

DELIVERY = timedelta(seconds=30)
"""How long a message takes at the most through an empty queue."""


class Refused(Enum):
    """Why a claim was not granted."""

    TAKEN = auto()
    """Another attempt holds it, and will report."""
    OVER = auto()
    """There is nothing to do, or not any more."""


@dataclass(frozen=True, slots=True)
class Retry:
    """A failed attempt is to be tried again."""

    pause: int
    """Seconds to wait before."""


def lock_job(job_id: UUID) -> Job | None:
    return Job.objects.select_for_update().filter(pk=job_id).first()


def lock_job_shared(job_id: UUID) -> Job | None:
    """Others may take this lock at the same time, but not `lock_job`'s."""
    statement = "SELECT * FROM jobs_job WHERE id = %s FOR KEY SHARE"
    return next(iter(Job.objects.raw(statement, [job_id])), None)


def lock_segment(job_id: UUID, index: int) -> Segment | None:
    """Only with the job's row locked."""
    # Not in the usual order, which looks at the job's row, and so would lock it, too.
    rows = Segment.objects.select_for_update().order_by()
    return rows.filter(job_id=job_id, index=index).first()


def held(job: Job) -> QuerySet[Job]:
    """The job's row, if the attempt for which `job` was claimed still holds it."""
    return Job.objects.filter(
        pk=job.pk,
        status=job.status,
        attempt=job.attempt,
        lease_expires_at__isnull=False,
    )


def held_segment(segment: Segment) -> QuerySet[Segment]:
    """The segment's row, if the attempt of `segment` still holds it."""
    return Segment.objects.filter(
        pk=segment.pk, status=Segment.Status.RUNNING, attempt=segment.attempt
    )


def move(job_id: UUID, sources: Iterable[str], target: str, **fields: Any) -> bool:
    """Change the status if it is one of `sources`; the new stage starts afresh.

    Whoever wants to be told of the end will be, and the task that it is of follows.
    """
    moved = move_untold(job_id, sources, target, **fields)
    if moved:
        follow(job_id)
    if moved and target in OVER:
        announce(job_id, target)
    return moved


def move_untold(
    job_id: UUID, sources: Iterable[str], target: str, **fields: Any
) -> bool:
    """As `move`, of a job that nobody has heard of."""
    moved = Job.objects.filter(pk=job_id, status__in=list(sources)).update(
        status=target,
        finished_at=now() if target in OVER else None,
        notify_at=now() + DELIVERY if target in ACTIVE else None,
        tidy_at=now() + DELIVERY if target in TIDIED else None,
        lease_expires_at=None,
        failures=0,
        **fields,
    )
    return moved == 1


def note(
    job_id: UUID, kind: str, detail: str = "", segment_index: int | None = None
) -> None:
    Event.objects.create(
        job_id=job_id, kind=kind, detail=short(detail), segment_index=segment_index
    )


def short(text: str) -> str:
    """As much as a row has room for, without the null that PostgreSQL has not."""
    return text.replace("\0", "")[:500]


def fail_held_stage(job: Job, code: ErrorCode, message: str) -> Retry | None:
    """Count a failed attempt of the locked job's stage; past the budget it fails."""
    note(job.pk, "attempt-failed", f"{code}: {message}")
    failures = job.failures + 1
    if _is_final(code, failures):
        fail_job(job.pk, code, message)
        return None
    retry = _retry(failures)
    Job.objects.filter(pk=job.pk).update(
        failures=failures, lease_expires_at=None, notify_at=_due(retry)
    )
    return retry


def fail_held_segment(segment: Segment, code: ErrorCode, message: str) -> Retry | None:
    """Count a failed attempt of the locked segment; past the budget the job fails."""
    note(segment.job_id, "attempt-failed", f"{code}: {message}", segment.index)
    failures = segment.failures + 1
    retry = None if _is_final(code, failures) else _retry(failures)
    Segment.objects.filter(pk=segment.pk).update(
        status=Segment.Status.PENDING if retry else Segment.Status.FAILED,
        failures=failures,
        lease_expires_at=None,
        notify_at=_due(retry) if retry else None,
        error_code=code,
        error_message=short(message),
    )
    if retry is None:
        fail_job(segment.job_id, code, message)
    return retry


def fail_job(job_id: UUID, code: ErrorCode, message: str) -> None:
    error = {"error_code": code, "error_message": short(message)}
    if move(job_id, [Job.Status.CREATED, *ACTIVE], Job.Status.FAILED, **error):
        stop_segments(job_id)
        charges.give_back(job_id, is_theirs=code.blame is Blame.USER)
        note(job_id, "failed", f"{code}: {message}")


def stop_segments(job_id: UUID) -> None:
    """Take the running segments from their workers, who hear it when they renew."""
    running = Segment.objects.filter(job_id=job_id, status=Segment.Status.RUNNING)
    running.update(status=Segment.Status.PENDING, lease_expires_at=None)


def is_any_missing(job_id: UUID) -> bool:
    """Whether a segment is not done."""
    segments = Segment.objects.filter(job_id=job_id)
    return segments.exclude(status=Segment.Status.DONE).exists()


def lease() -> datetime:
    return now() + timedelta(seconds=settings.LEASE_SECONDS)


def is_alive(lease_expires_at: datetime | None) -> bool:
    """Whether a worker has it in hand, and lives."""
    return lease_expires_at is not None and lease_expires_at > now()


def _is_final(code: ErrorCode, failures: int) -> bool:
    someone_must_act = code.blame in (Blame.USER, Blame.OPERATOR)
    return someone_must_act or failures >= settings.MAX_ATTEMPTS


def _retry(failures: int) -> Retry:
    pauses = settings.RETRY_PAUSES
    return Retry(pauses[min(failures, len(pauses)) - 1])


def _due(retry: Retry) -> datetime:
    return now() + timedelta(seconds=retry.pause) + DELIVERY
