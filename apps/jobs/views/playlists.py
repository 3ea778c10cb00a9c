"""Playlists (M3U) that open finished films in a player.

The entries are signed links, so a playlist is as good as the films in it for as long as
they live.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePath
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_safe

from apps.jobs.models import Job
from apps.jobs.names import download_name
from apps.jobs.views.access import AuthenticatedRequest, visible_job, visible_jobs
from apps.jobs.views.links import link

MOST_FILMS = 1000
"""In one playlist, the newest ones."""


@require_safe
@login_required
def playlist(request: AuthenticatedRequest, job_id: UUID) -> HttpResponse:
    """One film."""
    job = visible_job(request.user, job_id)
    if job.status != Job.Status.COMPLETED:
        raise Http404
    return _answer(request, [job], f"{_stem(job)}.m3u")


@require_safe
@login_required
def playlist_of_all(request: AuthenticatedRequest) -> HttpResponse:
    """All of the person's own films, for staff too."""
    own = visible_jobs(request.user).filter(
        owner=request.user, status=Job.Status.COMPLETED
    )
    newest = own.defer("picture").order_by("-created_at", "-id")[:MOST_FILMS]
    return _answer(request, newest, "StereoSpot.m3u")


def _answer(
    request: AuthenticatedRequest, jobs: Iterable[Job], name: str
) -> HttpResponse:
    lines = ["#EXTM3U"]
    for job in jobs:
        # The stem has no line breaks, and the link is percent-encoded: whatever a film
        # is called, it cannot add a line.
        lines.append(f"#EXTINF:{_seconds(job)},{_stem(job)}")
        lines.append(link(request, request.user, job))
    response = HttpResponse(
        "".join(f"{line}\n" for line in lines),
        content_type="audio/x-mpegurl; charset=utf-8",
    )
    response["Content-Disposition"] = content_disposition_header(True, name)
    response["Cache-Control"] = "no-store"
    return response


def _stem(job: Job) -> str:
    """With the words for the layout, which some players read here."""
    return PurePath(download_name(job)).stem


def _seconds(job: Job) -> int:
    """Length of the film; -1, as the format has it, where it is not known."""
    duration = (job.film or {}).get("duration") or 0
    return round(duration) or -1
