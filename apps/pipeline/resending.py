"""Send at once what a job should have in flight, without waiting for the sweep."""

from __future__ import annotations

from django.db.models import Q
from django.utils.timezone import now

from apps.jobs import ledger
from apps.jobs.models import ACTIVE, Job, Segment
from apps.pipeline import messages


def resend(job: Job) -> int:
    """How many messages; none for what a worker has in hand.

    Where one is on its way already the ledger lets only one of the two begin.
    """
    if ledger.reassemble_when_done(job.pk):
        job.refresh_from_db()
    if job.status == Job.Status.CHUNKED:
        return _resend_segments(job)
    if job.status not in ACTIVE or ledger.is_alive(job.lease_expires_at):
        return 0
    ledger.note_sent(job.pk)
    messages.send_stage(job)
    return 1


def _resend_segments(job: Job) -> int:
    free = Q(status=Segment.Status.PENDING)
    lost = Q(status=Segment.Status.RUNNING, lease_expires_at__lte=now())
    segments = list(job.segments.filter(free | lost).order_by("index"))
    ledger.note_sent(job.pk, [segment.index for segment in segments])
    for segment in segments:
        messages.send_segment(job.pk, segment.index, attempt=segment.attempt)
    return len(segments)
