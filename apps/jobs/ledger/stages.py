"""The stages that one worker does for the whole job: ingest or generate, chunk, concat."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.utils.timezone import now

from apps.jobs.ledger import rows
from apps.jobs.ledger.following import follow
from apps.jobs.ledger.rows import DELIVERY, Refused, Retry
from apps.jobs.models import Job, Segment
from contract.errors import ErrorCode, StereoSpotError
from contract.frames import DepthFrames, Picture, SegmentFrames
from contract.generation import Generated

OVERWRITTEN = "A stereo segment was overwritten by one of another cut."
LOST_WORKER = "The worker that had it stopped answering."


class Cut(NamedTuple):
    """The manifests of the objects that one segment is made from."""

    frames: SegmentFrames
    depth: DepthFrames | None = None
    """Of its depth, where a person brought depth."""


@transaction.atomic
def claim_stage(job_id: UUID, stage: Job.Status) -> Job | Refused:
    """Take the job for one attempt of the stage."""
    job = rows.lock_job(job_id)
    if job is None or job.status != stage:
        return Refused.OVER
    if rows.is_alive(job.lease_expires_at):
        return Refused.TAKEN
    if job.lease_expires_at is not None:
        # Whoever held it is gone. That attempt counts, or a worker that each time dies
        # of the same film would be given it for ever.
        if not rows.fail_held_stage(job, ErrorCode.LEASE_EXPIRED, LOST_WORKER):
            return Refused.OVER
        job.refresh_from_db()
    job.attempt += 1
    job.lease_expires_at = rows.lease()
    job.save(update_fields=["attempt", "lease_expires_at"])
    if stage == Job.Status.INGESTING:
        follow(job_id)
    return job


def renew_stage(job: Job) -> bool:
    """The attempt lives; False when the job was stopped or given to another worker."""
    return rows.held(job).update(lease_expires_at=rows.lease()) == 1


def release_stage(job: Job) -> bool:
    """The worker has to stop: others may go on at once, and nobody has failed."""
    due = now() + DELIVERY
    return rows.held(job).update(lease_expires_at=None, notify_at=due) == 1


def pause_stage(job: Job, *, seconds: int) -> bool:
    """Nobody has failed, but its turn has not come: others go on after a pause."""
    due = now() + timedelta(seconds=seconds) + DELIVERY
    return rows.held(job).update(lease_expires_at=None, notify_at=due) == 1


@transaction.atomic
def finish_ingest(job: Job, extension: str, title: str) -> bool:
    """The source is in the store; True for the caller who should send chunk.

    Asked again, because the answer was lost, it is the same.
    """
    locked = rows.lock_job(job.pk)
    if locked is None or not rows.held(job).exists():
        return (
            locked is not None
            and locked.status == Job.Status.CHUNKING
            and locked.attempt == job.attempt
        )
    rows.note(job.pk, "ingested")
    found = {"source_extension": extension, "title": title}
    return rows.move(job.pk, [Job.Status.INGESTING], Job.Status.CHUNKING, **found)


@transaction.atomic
def finish_generate(job: Job, clip: Generated, picture: Picture) -> bool:
    """The clip is there and verified; True for the caller who should hand on: it is the
    source, and to be cut, or where only the clip is wanted the final.

    Asked again, because the answer was lost, it is the same.
    """
    target = Job.Status.COMPLETED if job.is_flat else Job.Status.CHUNKING
    locked = rows.lock_job(job.pk)
    if locked is None or not rows.held(job).exists():
        return (
            locked is not None
            and locked.status == target
            and locked.attempt == job.attempt
        )
    rows.note(job.pk, "generated", clip.version)
    found: dict[str, Any] = {"clip": clip.model_dump(mode="json")}
    if job.is_flat:
        rows.note(job.pk, "completed")
        found |= {"picture": picture.model_dump(mode="json")}
    return rows.move(job.pk, [Job.Status.INGESTING], target, **found)


@transaction.atomic
def record_plan(
    job: Job, film: dict[str, Any], picture: Picture, extension: str, total: int
) -> bool:
    """What chunk found in the source; recorded before the first segment object."""
    return bool(
        rows.held(job).update(
            film=film,
            picture=picture.model_dump(mode="json"),
            final_extension=extension,
            total_segments=total,
        )
    )


@transaction.atomic
def finish_chunk(job: Job, cuts: Sequence[Cut]) -> bool:
    """Every segment object is there; True for the caller who should send infer.

    Asked again, because the answer was lost, it is the same.
    """
    locked = rows.lock_job(job.pk)
    if locked is None or not rows.held(job).exists():
        return (
            locked is not None
            and locked.status == Job.Status.CHUNKED
            and locked.attempt == job.attempt
        )
    Segment.objects.bulk_create(
        (
            Segment(
                job=job,
                index=index,
                frames=cut.frames.model_dump(mode="json"),
                depth=cut.depth and cut.depth.model_dump(mode="json"),
                frame_count=len(cut.frames.core),
                notify_at=now() + DELIVERY,
            )
            for index, cut in enumerate(cuts)
        ),
        batch_size=200,
    )
    count = len(cuts)
    rows.note(job.pk, "chunked", f"{count} segment{'' if count == 1 else 's'}")
    return rows.move(job.pk, [Job.Status.CHUNKING], Job.Status.CHUNKED)


@transaction.atomic
def finish_concat(job: Job) -> bool:
    """The final is there and verified."""
    if rows.lock_job(job.pk) is None or not rows.held(job).exists():
        return False
    rows.note(job.pk, "completed")
    return rows.move(job.pk, [Job.Status.REASSEMBLING], Job.Status.COMPLETED)


@transaction.atomic
def convert_again(job: Job, indexes: Collection[int]) -> Job | None:
    """Concat found stereo segments that are not theirs: the job, for who sends for them.

    It counts as a failed attempt of each, and may fail the job. None when the job is not
    this attempt's any more.
    """
    if rows.lock_job(job.pk) is None or not rows.held(job).exists():
        return None
    again = F("attempt") + 1  # so that its messages have ids of their own
    rows.move(job.pk, [Job.Status.REASSEMBLING], Job.Status.CHUNKED, attempt=again)
    wrong = job.segments.filter(index__in=list(indexes))
    wrong.update(status=Segment.Status.PENDING, seconds=None)
    for segment in wrong.select_for_update():
        rows.fail_held_segment(segment, ErrorCode.OUTPUT_INVALID, OVERWRITTEN)
    return Job.objects.get(pk=job.pk)


@transaction.atomic
def fail_stage(job: Job, error: StereoSpotError) -> Retry | Refused | None:
    """The attempt failed: when to try again, or None when it is for good.

    `Refused.TAKEN` when it is not this attempt's any more.
    """
    locked = rows.lock_job(job.pk)
    if locked is None or not rows.held(job).exists():
        return Refused.TAKEN
    return rows.fail_held_stage(locked, error.code, error.message)
