"""The way of a job's files into the store, part by part."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from django.http import Http404
from django.utils.timezone import now
from ninja import Router

from apps.jobs import uploads
from apps.jobs.api import watching
from apps.jobs.api.access import TokenRequest, asked_job
from apps.jobs.api.problems import answers
from apps.jobs.api.shapes import (
    JobDetail,
    PartAddress,
    UploadState,
)
from apps.jobs.models import Upload
from apps.jobs.parts import URL_SECONDS

router = Router(tags=["Uploads"])


@router.get(
    "/{uuid:job_id}/uploads", response=answers(200, list[UploadState], 404, 503)
)
def list_uploads(request: TokenRequest, job_id: UUID) -> list[UploadState]:
    """The job's files, and which of their parts are missing."""
    job = asked_job(request, job_id)
    return [state_of(upload) for upload in job.uploads.order_by("pk")]


@router.post(
    "/{uuid:job_id}/uploads/{kind}/parts/{int:number}",
    response=answers(200, PartAddress, 404, 409, 422, 503),
)
def address_part(
    request: TokenRequest, job_id: UUID, kind: Upload.Kind, number: int
) -> PartAddress:
    """Where to PUT this part of the file, for an hour."""
    upload = uploads.unfinished(asked_job(request, job_id), kind)
    if not 1 <= number <= upload.part_count:
        raise Http404
    return PartAddress(
        url=request.build_absolute_uri(uploads.sign_part(upload, number)),
        size=upload.length_of(number),
        expires_at=now() + timedelta(seconds=URL_SECONDS),
    )


@router.post(
    "/{uuid:job_id}/uploads/{kind}/complete",
    response=answers(200, JobDetail, 404, 409, 422, 503),
)
def complete_upload(
    request: TokenRequest, job_id: UUID, kind: Upload.Kind
) -> JobDetail:
    """All parts of the file are sent. After the last file the work begins."""
    job = asked_job(request, job_id)
    # Also for who asks again because the first answer was lost.
    if not job.uploads.filter(kind=kind, arrived_at__isnull=False).exists():
        uploads.complete(uploads.unfinished(job, kind))
        job.refresh_from_db()
    return watching.detail(request, job, watching.look(job).segments)


def state_of(upload: Upload) -> UploadState:
    is_complete = upload.arrived_at is not None
    return UploadState(
        kind=Upload.Kind(upload.kind),
        size=upload.size,
        part_bytes=upload.part_bytes,
        missing=[] if is_complete else uploads.missing_parts(upload),
        is_complete=is_complete,
    )
