"""Playlists (M3U) that open finished films in a player.

The entries are signed links, so a playlist is as good as the films in it for as long as
they live.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePath
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_safe

from apps.jobs.models import Job
from apps.jobs.names import download_name
from apps.jobs.views.access import AuthenticatedRequest, visible_job, visible_jobs
from apps.jobs.views.links import link

CONTENT_TYPE = "audio/x-mpegurl"
MOST_FILMS = 1000
"""In one playlist, the newest ones."""


@require_safe
@login_required
def playlist(request: AuthenticatedRequest, job_id: UUID) -> HttpResponse:
    """One film."""
    job = visible_job(request.user, job_id)
    if job.status != Job.Status.COMPLETED:
        raise Http404
    return of_one(request, request.user, job)


@require_safe
@login_required
def playlist_of_all(request: AuthenticatedRequest) -> HttpResponse:
    """All of the person's own films, for staff too."""
    return of_all(request, request.user)


def of_one(request: HttpRequest, user: User, job: Job) -> HttpResponse:
    """Of a completed job, for somebody who may see it."""
    return _answer(request, user, [job], f"{_stem(job)}.m3u")


def of_all(request: HttpRequest, user: User) -> HttpResponse:
    """Of this person's own films, the newest first."""
    own = visible_jobs(user).filter(owner=user, status=Job.Status.COMPLETED)
    newest = own.defer("picture").order_by("-created_at", "-id")[:MOST_FILMS]
    return _answer(request, user, newest, "StereoSpot.m3u")


def _answer(
    request: HttpRequest, user: User, jobs: Iterable[Job], name: str
) -> HttpResponse:
    lines = ["#EXTM3U"]
    for job in jobs:
        # The stem has no line breaks, and the link is percent-encoded: whatever a film
        # is called, it cannot add a line.
        lines.append(f"#EXTINF:{_seconds(job)},{_name(job)}")
        lines.append(link(request, user, job))
    response = HttpResponse(
        "".join(f"{line}\n" for line in lines),
        content_type=f"{CONTENT_TYPE}; charset=utf-8",
    )
    response["Content-Disposition"] = content_disposition_header(True, name)
    response["Cache-Control"] = "no-store"
    return response


def _stem(job: Job) -> str:
    """With the words for the layout, which some players read here."""
    return PurePath(download_name(job)).stem


def _name(job: Job) -> str:
    """The stem, but VLC takes what stands before a comma or a lone dash for an artist."""
    return _stem(job).replace(",", "").replace(" - ", " – ")


def _seconds(job: Job) -> int:
    """Length of the film; -1, as the format has it, where it is not known."""
    duration = (job.film or {}).get("duration") or 0
    return round(duration) or -1
