"""The finished film, to watch and to keep: from the disk, or by a link to the bucket."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponseBase, HttpResponseRedirect
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_safe

from apps.jobs import ranges, storage
from apps.jobs.models import Job
from apps.jobs.names import download_name
from apps.jobs.views.access import AuthenticatedRequest, visible_job
from contract.errors import StereoSpotError

CONTENT_TYPES = {
    "mp4": "video/mp4",
    "mov": "video/quicktime",
    "mkv": "video/x-matroska",
    "webm": "video/webm",
}


@require_safe
@login_required
def final(request: AuthenticatedRequest, job_id: UUID) -> HttpResponseBase:
    job = visible_job(request.user, job_id)
    if job.status != Job.Status.COMPLETED:
        raise Http404
    content_type = CONTENT_TYPES.get(job.final_extension, "application/octet-stream")
    is_download = "download" in request.GET
    disposition = content_disposition_header(is_download, download_name(job)) or ""
    store = storage.result()
    if isinstance(store, storage.Bucket):
        # Signed now, not when the page was made: links live for an hour only.
        parameters = {
            "ResponseContentDisposition": disposition,
            "ResponseContentType": content_type,
        }
        return HttpResponseRedirect(store.url(job.final_key, parameters=parameters))
    try:
        path = Path(store.path(job.final_key))
        return ranges.serve(
            request, path, content_type=content_type, disposition=disposition
        )
    except FileNotFoundError as error:
        raise Http404 from error


def size_of_final(job: Job) -> int | None:
    """Bytes; None when the film is gone or the store does not answer."""
    try:
        return storage.size(storage.result(), job.final_key)
    except StereoSpotError:
        return None


def media_origin() -> str:
    """Where films come from besides our own address; empty when they do not."""
    store = storage.result()
    if not isinstance(store, storage.Bucket):
        return ""
    parts = urlsplit(store.url("any"))
    return f"{parts.scheme}://{parts.netloc}"
