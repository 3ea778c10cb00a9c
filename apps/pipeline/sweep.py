"""Look at every job that should move, and send again what it waits for in vain.

For each state there is a proof of life: a lease that is renewed, a message that is
younger than a delivery takes, or a queue that holds as many messages as are expected.
Where none is, a message was lost or a worker died.
"""

from __future__ import annotations

import contextlib
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils.timezone import now

from apps.jobs import ledger, limits
from apps.jobs.models import (
    GENERATING,
    OWN_STAGES,
    Job,
    Notice,
    Segment,
    Upload,
    VideoTask,
)
from apps.monitoring import tallies
from apps.pipeline import arriving, cloudwatch, dead_letters, invocations, messages
from apps.pipeline.looks import BATCH, count, each, is_crowded
from stereospot.celery import app
from workers.batches import publish_batch

log = structlog.get_logger(__name__)

LOCK = 0x53_53_57_50
"""PostgreSQL advisory lock: one sweep at a time in the whole system."""
PATIENCE = timedelta(minutes=5)
"""How long a message may wait in a queue of which nobody knows whether it holds it."""
ARRIVAL = timedelta(minutes=5)
"""How long after its job's row a source may still be on its way into the store."""
UPLOAD = timedelta(days=1)
"""How long a person may let an upload rest before it is given up."""

_ended: float | None = None
"""When this process's last round was over, by its monotonic clock."""


def sweep() -> dict[str, int]:
    """Do one round; how many of what were found. Empty when another one is at work."""
    global _ended
    with _alone() as alone:
        if not alone:
            return {}
        looks = _LOOKS if _is_shaken() else _LOOKS | _EXPIRIES
        found = {what: _looked(what, look) for what, look in looks.items()}
        _ended = time.monotonic()
        cloudwatch.publish()
    for what, number in found.items():
        tallies.count("sweep_found", what, number)
    if any(found.values()):
        log.info("swept", **{name: n for name, n in found.items() if n})
    return found


@contextlib.contextmanager
def _alone() -> Iterator[bool]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [LOCK])
        (alone,) = cursor.fetchone() or (False,)
        try:
            yield alone
        finally:
            if alone:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK])


def _is_shaken() -> bool:
    """Whether the database may have been away, so that nobody could renew a lease.

    Those who live get time to do so, or an outage would cost each of them its work.
    """
    age = "SELECT now() - pg_postmaster_start_time() < make_interval(secs => %s)"
    with connection.cursor() as cursor:
        cursor.execute(age, [settings.LEASE_SECONDS])
        (has_restarted,) = cursor.fetchone() or (False,)
    usual = settings.SWEEP_SECONDS + settings.LEASE_SECONDS / 2
    has_paused = _ended is not None and time.monotonic() - _ended > usual
    return has_restarted or has_paused


def _looked(what: str, look: Callable[[], int]) -> int:
    """One kind of finding; that it cannot be looked for does not hide the others."""
    try:
        return look()
    except (InterfaceError, OperationalError):
        raise  # without the database there is nothing to look at
    except Exception:
        log.exception("could not sweep", what=what)
        return 0


def _expired_stages() -> int:
    def take_back(job: Job) -> bool:
        again = ledger.expire_stage(job.pk)
        if again:
            messages.send_stage(job, pause=again.pause)
        return bool(again)

    return each(Job.objects.filter(lease_expires_at__lte=now())[:BATCH], take_back)


def _expired_segments() -> int:
    def take_back(segment: Segment) -> bool:
        job_id, index = segment.job_id, segment.index
        again = ledger.expire_segment(job_id, index)
        if again:
            messages.send_segment(
                job_id, index, attempt=segment.attempt, pause=again.pause
            )
        return bool(again)

    expired = Segment.objects.filter(
        status=Segment.Status.RUNNING, lease_expires_at__lte=now()
    )
    return each(expired[:BATCH], take_back)


def _finished_conversions() -> int:
    def go_on(job: Job) -> bool:
        moved = ledger.reassemble_when_done(job.pk)
        if moved:
            messages.send_stage(Job.objects.get(pk=job.pk))
        return moved

    missing = Segment.objects.filter(job=OuterRef("pk")).exclude(status="done")
    done = Job.objects.filter(~Exists(missing), status=Job.Status.CHUNKED)
    return each(done[:BATCH], go_on)


def _silent_stages() -> int:
    waiting = Job.objects.filter(status__in=OWN_STAGES, lease_expires_at=None)
    others, clips = waiting.exclude(GENERATING), waiting.filter(GENERATING)
    return _sent_again(others, "media") + _sent_again(clips, "gpu", _pending_segments())


def _sent_again(waiting: QuerySet[Job], queue: str, *beside: QuerySet[Any]) -> int:
    """Those stages whose message is not in the queue, which others wait for `beside`."""

    def send(job: Job) -> bool:
        ledger.note_sent(job.pk)
        messages.send_stage(job)
        return True

    found = messages.waiting(queue)
    if is_crowded(found, waiting, *beside):
        return 0
    # It holds other messages as well, so its length says little of theirs.
    patience = PATIENCE if found else timedelta()
    silent = waiting.filter(notify_at__lte=now() - patience).order_by("notify_at")
    return each(silent[:BATCH], send)


def _pending_segments() -> QuerySet[Segment]:
    return Segment.objects.filter(
        status=Segment.Status.PENDING, job__status=Job.Status.CHUNKED
    )


def _silent_segments() -> int:
    def send(segment: Segment) -> bool:
        messages.send_segment(segment.job_id, segment.index, attempt=segment.attempt)
        return True

    waiting = _pending_segments()
    silent = waiting.filter(_is_lost(waiting)).order_by("notify_at", "job", "index")[
        :BATCH
    ]
    indexes: dict[UUID, list[int]] = defaultdict(list)
    for segment in silent:
        indexes[segment.job_id].append(segment.index)
    for job_id, of_job in indexes.items():
        ledger.note_sent(job_id, of_job)
    with publish_batch():
        return each(silent, send)


def _is_lost(waiting: QuerySet[Segment]) -> Q:
    """Which of the `waiting` segments have no message in the queue any more.

    If it is empty, all that are due. If it holds too few nobody knows which: those that
    have been due for long. If it holds as many, for some may be there twice, of those only
    the few that were tried before: they are sent one by one. If it is crowded, none.
    """
    found = messages.waiting("gpu")
    clips = Job.objects.filter(GENERATING, lease_expires_at=None)
    due = {"notify_at__lte": now() + ledger.DELIVERY}
    expected = waiting.filter(**due), clips.filter(**due)
    if is_crowded(found, *expected):
        return Q(pk__in=[])
    if count(expected, found + 1) <= found:
        return Q(attempt__gt=0, notify_at__lte=now() - PATIENCE)
    return Q(notify_at__lte=now() - (PATIENCE if found else timedelta()))


def _arrived_sources() -> int:
    """Jobs whose source is there, but whoever brought it died before it said so."""

    created = Job.objects.filter(
        status=Job.Status.CREATED, created_at__lt=now() - ARRIVAL
    )
    # At random: of more than a batch each has its turn.
    return each(created.order_by("?")[:BATCH], arriving.start_if_arrived)


def _abandoned_jobs() -> int:
    coming = Upload.objects.filter(job=OuterRef("pk"), touched_at__gte=now() - UPLOAD)
    created = Job.objects.filter(
        ~Exists(coming), status=Job.Status.CREATED, created_at__lt=now() - UPLOAD
    )
    return each(created[:BATCH], lambda job: ledger.abandon(job.pk))


def _untidied() -> int:
    def send(job_id: UUID) -> bool:
        messages.send_tidy(job_id)
        return True

    due = Job.objects.filter(tidy_at__lte=now()).order_by("tidy_at")
    job_ids = list(due.values_list("pk", flat=True)[:BATCH])
    ledger.note_tidying(job_ids)
    return each(job_ids, send)


def _unsent_callbacks() -> int:
    backend: Any = app.backend
    return int(backend.send_unsent(older_than=ledger.DELIVERY))


def _untold() -> int:
    def send(notice: Notice) -> bool:
        messages.send_notice(notice)
        return True

    due = Notice.objects.filter(due_at__lte=now()).order_by("due_at")
    return _sent_while_room(due, send)


def _not_handed_over() -> int:
    def send(task: VideoTask) -> bool:
        messages.send_handover(task)
        return True

    due = VideoTask.objects.filter(due_at__lte=now()).order_by("due_at")
    return _sent_while_room(due, send)


def _sent_while_room(due: QuerySet[Any], send: Callable[[Any], bool]) -> int:
    if is_crowded(messages.waiting("control"), due):
        return 0
    return each(due[:BATCH], send)


_EXPIRIES = {
    "stages whose worker was lost": _expired_stages,
    "segments whose worker was lost": _expired_segments,
}
_LOOKS: dict[str, Callable[[], int]] = {
    "jobs whose source never came": _abandoned_jobs,
    "jobs whose segments were all done": _finished_conversions,
    "stages whose message was lost": _silent_stages,
    "segments whose message was lost": _silent_segments,
    "chords whose callback was not sent": _unsent_callbacks,
    "jobs to tidy": _untidied,
    "notices to tell": _untold,
    "tasks to hand over": _not_handed_over,
    "notices that are forgotten": partial(ledger.forget_notices, BATCH),
    "messages that the queue gave up": dead_letters.reap,
    "limits that nobody is near any more": limits.forget_old,
    # Last, for they ask others, who may be slow.
    "invocations that nobody wants": invocations.withdraw_unwanted,
    "sources that nobody had reported": _arrived_sources,
}
