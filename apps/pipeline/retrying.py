"""Retry a failed job from what is really there, not from what is said to be done."""

from __future__ import annotations

from uuid import UUID

from django.contrib.auth.models import User

from apps.jobs import ledger, limits, storage
from apps.jobs.models import Job, Segment
from contract.keys import segments_prefix, stereo_segments_prefix


def retry(job_id: UUID, *, by: User | None = None) -> Job | None:
    """`ledger.retry`, after a look at the objects; raises `StereoSpotError`.

    `by` is the person who asks: it counts as a new film of theirs. Operators always may.
    A stereo segment may have expired, or a disk may have lost it. Its segment is
    converted again, and cut again where the segment objects are gone as well.
    """
    person = None if by is None or by.is_staff else by
    if person:
        limits.count(limits.CREATION, person.pk)
    segments = Segment.objects.filter(job_id=job_id).select_related("job")
    with storage.translated():
        cut = storage.source().keys(segments_prefix(job_id))
        made = storage.result().keys(stereo_segments_prefix(job_id))
        unfetched = _is_unfetched(job_id)
    done = {segment for segment in segments if segment.stereo_key in made}
    lost = {
        segment.index
        for segment in segments
        if segment.status == Segment.Status.DONE and segment not in done
    }
    uncut = any(
        not segment.cut_keys <= cut
        for segment in segments
        if segment.index in lost or segment.status != Segment.Status.DONE
    )
    return ledger.retry(
        job_id,
        lost=lost,
        uncut=uncut,
        unfetched=unfetched,
        within_quota=person is not None,
    )


def _is_unfetched(job_id: UUID) -> bool:
    job = Job.objects.filter(pk=job_id, origin__isnull=False).first()
    return job is not None and not storage.source().exists(job.source_key)
