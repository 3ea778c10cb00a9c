"""A new job: the film arrives in a form and is moved into the store as it came."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.core.files.uploadedfile import TemporaryUploadedFile
from django.core.files.uploadhandler import TemporaryFileUploadHandler
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_http_methods

from apps.jobs import ledger, limits, storage
from apps.jobs.forms import ENGINES, MODES, NewJobForm, licence_of, too_large
from apps.jobs.middleware import HEADER, policy
from apps.jobs.models import Job
from apps.jobs.names import source_extension, title_of
from apps.jobs.sending import after_commit
from apps.jobs.views.access import AuthenticatedRequest, SeeOther
from apps.pipeline import messages
from contract.errors import StereoSpotError
from contract.modes import Engine

FORM_BYTES = 64 * 1024
"""Room in the request for everything but film and depth video."""


class OnDisk(TemporaryFileUploadHandler):
    """Every file goes to the disk, also a small one: the store wants paths."""

    def __init__(self, request: AuthenticatedRequest) -> None:
        super().__init__(request)
        self._arrived: list[TemporaryUploadedFile] = []

    def new_file(self, field_name: str, file_name: str, *rest: Any) -> None:
        # Django makes the extension a part of the temporary file's name, however long
        # it is; the store takes no other extension than this one anyway.
        name = f"{title_of(file_name)}.{source_extension(file_name)}"
        super().new_file(field_name, name, *rest)
        self._arrived.append(self.file)

    def close(self) -> None:
        """Delete what arrived and was not moved into the store."""
        for file in self._arrived:
            # A disk that is full refuses also what was still to be written.
            with contextlib.suppress(OSError):
                file.close()


# Django's check reads the body, and so must not run before it is known where the body
# goes, from whom it comes and whether it is too large: it is made in `_receive`.
@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def new(request: AuthenticatedRequest) -> HttpResponse:
    if request.method != "POST":
        return _page(request, NewJobForm())
    length = int(request.headers.get("Content-Length") or 0)
    if length > 2 * settings.MAX_SOURCE_BYTES + FORM_BYTES:
        return _refuse(request, NewJobForm(), too_large(length))
    settings.FILE_UPLOAD_TEMP_DIR.mkdir(parents=True, exist_ok=True)
    handler = OnDisk(request)
    request.upload_handlers = [handler]
    try:
        with contextlib.closing(handler), storage.translated():
            response: HttpResponse = _receive(request)
    except StereoSpotError as error:
        return _refuse(request, NewJobForm(), error.message)
    return response


@csrf_protect
def _receive(request: AuthenticatedRequest) -> HttpResponse:
    form = NewJobForm(request.POST, request.FILES)
    if not form.is_valid():
        return _page(request, form, status=422)
    job = form.job(request.user)
    limits.count(limits.CREATION, request.user.pk)
    _begin(job, form.film(), form.depth_video())
    return SeeOther(job.get_absolute_url())


def _begin(job: Job, film: Path, depth: Path | None) -> None:
    # The row comes first: a crash leaves a job that its owner sees and can cancel, not
    # a film in the store that nobody knows of.
    ledger.create(job)
    try:
        storage.source().put(job.source_key, film)
        if depth is not None and job.depth_key is not None:
            storage.source().put(job.depth_key, depth)
    except BaseException:
        # Not just the row: the store may have taken what it said it had not.
        ledger.delete(job.pk)
        raise
    if ledger.start(job.pk):
        job.refresh_from_db()
        after_commit(messages.send_stage, job)


def _refuse(
    request: AuthenticatedRequest, form: NewJobForm, error: str
) -> HttpResponse:
    return _page(request, form, status=422, refusal=error)


def _page(
    request: AuthenticatedRequest,
    form: NewJobForm,
    *,
    status: int = 200,
    refusal: str = "",
) -> HttpResponse:
    context = {
        "form": form,
        "refusal": refusal,
        "modes": [(radio, MODES[radio.data["value"]]) for radio in form["mode"]],
        "engines": [
            (
                radio,
                ENGINES[radio.data["value"]],
                licence_of(Engine(radio.data["value"])),
            )
            for radio in form["engine"]
        ],
        "max_bytes": settings.MAX_SOURCE_BYTES,
        "max_hours": settings.MAX_SOURCE_SECONDS / 3600,
        "quota": ledger.quota_of(request.user),
    }
    response = render(request, "jobs/job_new.html", context, status=status)
    # The preview looks at the person's own file before it is uploaded.
    response[HEADER] = policy(media="blob:")
    return response
