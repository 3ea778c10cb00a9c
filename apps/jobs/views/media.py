"""The finished film and its source, to watch and to keep: from the disk, or by a link to
the bucket."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseRedirect,
)
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_safe

from apps.jobs import ranges, storage
from apps.jobs.models import Job
from apps.jobs.names import download_name, source_name
from apps.jobs.views.access import AuthenticatedRequest, visible_job
from contract.errors import StereoSpotError
from contract.keys import MAX_SUBTITLES, SubtitleKey

CONTENT_TYPES = {
    "avi": "video/x-msvideo",
    "m2ts": "video/mp2t",
    "m4v": "video/mp4",
    "mkv": "video/x-matroska",
    "mov": "video/quicktime",
    "mp4": "video/mp4",
    "mpeg": "video/mpeg",
    "mpg": "video/mpeg",
    "mts": "video/mp2t",
    "ogv": "video/ogg",
    "ts": "video/mp2t",
    "webm": "video/webm",
}
"""By extension. What is not here is a stranger's file of a kind that nobody plays."""
BUCKET_SECONDS = 3600
"""How long a link to the bucket lives that a page follows: it is signed when followed."""


@require_safe
@login_required
def final(request: AuthenticatedRequest, job_id: UUID) -> HttpResponseBase:
    job = visible_job(request.user, job_id)
    return serve_final(request, job, is_download="download" in request.GET)


@require_safe
@login_required
def source(request: AuthenticatedRequest, job_id: UUID) -> HttpResponseBase:
    """The film as it was brought, to compare with."""
    job = visible_job(request.user, job_id)
    if job.status != Job.Status.COMPLETED:
        raise Http404
    disposition = content_disposition_header(False, source_name(job)) or ""
    return _serve(
        request,
        storage.source(),
        job.source_key,
        content_type=_content_type(job.source_extension),
        disposition=disposition,
        seconds=BUCKET_SECONDS,
    )


@require_safe
@login_required
def subtitles(
    request: AuthenticatedRequest, job_id: UUID, number: int
) -> HttpResponseBase:
    """A text track of the final as WebVTT, for the page's player: some kilobytes."""
    job = visible_job(request.user, job_id)
    if job.status != Job.Status.COMPLETED or number >= MAX_SUBTITLES:
        raise Http404
    key = str(SubtitleKey(job.pk, number))
    try:
        with storage.translated(), storage.result().open(key) as file:
            return HttpResponse(file.read(), content_type="text/vtt; charset=utf-8")
    except FileNotFoundError as error:
        raise Http404 from error


def serve_final(
    request: HttpRequest,
    job: Job,
    *,
    is_download: bool = False,
    seconds: int = BUCKET_SECONDS,
) -> HttpResponseBase:
    """To whoever may see the job, which is the caller's to know.

    A link to the bucket lives for `seconds`. Raises `Http404` where there is no final.
    """
    if job.status != Job.Status.COMPLETED:
        raise Http404
    disposition = content_disposition_header(is_download, download_name(job)) or ""
    return _serve(
        request,
        storage.result(),
        job.final_key,
        content_type=_content_type(job.final_extension),
        disposition=disposition,
        seconds=seconds,
    )


def size_of_final(job: Job) -> int | None:
    """Bytes; None when the film is gone or the store does not answer."""
    try:
        return storage.size(storage.result(), job.final_key)
    except StereoSpotError:
        return None


def media_origins() -> str:
    """Where films come from besides our own address; empty when they do not."""
    origins = set()
    for store in (storage.source(), storage.result()):
        if isinstance(store, storage.Bucket):
            parts = urlsplit(storage.url(store, "any"))
            origins.add(f"{parts.scheme}://{parts.netloc}")
    return " ".join(sorted(origins))


def _content_type(extension: str) -> str:
    return CONTENT_TYPES.get(extension, "application/octet-stream")


def _serve(
    request: HttpRequest,
    store: storage.Disk | storage.Bucket,
    key: str,
    *,
    content_type: str,
    disposition: str,
    seconds: int,
) -> HttpResponseBase:
    if isinstance(store, storage.Bucket):
        parameters = {
            "ResponseContentDisposition": disposition,
            "ResponseContentType": content_type,
        }
        return HttpResponseRedirect(
            storage.url(store, key, parameters=parameters, expire=seconds)
        )
    try:
        return ranges.serve(
            request,
            Path(store.path(key)),
            content_type=content_type,
            disposition=disposition,
        )
    except FileNotFoundError as error:
        raise Http404 from error
