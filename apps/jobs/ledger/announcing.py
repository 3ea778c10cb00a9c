"""Who is to be told that a job is over: an outbox, written beside the fact itself.

In the same transaction, so no end is forgotten and none is told that did not happen.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID, uuid5

from django.db.models import Min
from django.utils.timezone import now

from apps.jobs.models import Job, Notice, Subscription
from contract.errors import ErrorCode
from contract.modes import Engine, mode_of
from contract.notices import Announcement, Failure, JobFacts, NoticeKind


def announce(job_id: UUID, status: str) -> None:
    """Write what is to be told of a job that has just ended; in the caller's transaction."""
    kind = NoticeKind(f"job.{status}")
    job = Job.objects.get(pk=job_id)
    # Locked, or one that is deleted meanwhile would undo the caller's fact.
    subscriptions = Subscription.objects.select_for_update(no_key=True).filter(
        owner=job.owner_id, stopped_at=None, kinds__contains=[kind]
    )
    body = _announcement(job, kind).model_dump(mode="json")
    Notice.objects.bulk_create(
        Notice(
            id=uuid5(job_id, f"{kind}:{job.attempt}:{subscription.pk}"),
            subscription=subscription,
            job=job,
            kind=kind,
            body=body,
            due_at=_first_due(subscription),
        )
        for subscription in subscriptions
    )


def _first_due(subscription: Subscription) -> datetime:
    """At once; where the address fails, when the others of it are tried next."""
    if not subscription.failing_since:
        return now()
    waiting = subscription.notices.filter(due_at__isnull=False)
    return waiting.aggregate(next=Min("due_at"))["next"] or now()


def _announcement(job: Job, kind: NoticeKind) -> Announcement:
    failure = None
    if kind is NoticeKind.FAILED:
        code = ErrorCode(job.error_code)
        failure = Failure(code=code, message=job.error_message, who_must_act=code.blame)
    return Announcement(
        type=kind,
        timestamp=job.finished_at or now(),
        data=JobFacts(
            id=job.pk,
            title=job.title,
            mode=mode_of(job.mode),
            engine=Engine(job.engine),
            error=failure,
        ),
    )
