"""Playlists for players, which show no token: as the pages give them."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpResponse
from ninja import Router

from apps.jobs.api.access import TokenRequest, asked_job
from apps.jobs.api.problems import NO_FILM, answers, wrong_state
from apps.jobs.models import Job
from apps.jobs.views import playlists

router = Router(tags=["Playlists"])

_M3U = {"content": {playlists.CONTENT_TYPE: {"schema": {"type": "string"}}}}
_DOCUMENTED = {"responses": {200: {"description": "M3U"} | _M3U}}


@router.get("/playlist", response=answers(200, None), openapi_extra=_DOCUMENTED)
def show_playlist_of_all(request: TokenRequest) -> HttpResponse:
    """An M3U with a link to each of your own films that are completed, newest first."""
    return playlists.of_all(request, request.auth)


@router.get(
    "/jobs/{uuid:job_id}/playlist",
    response=answers(200, None, 404, 409),
    openapi_extra=_DOCUMENTED,
)
def show_playlist(request: TokenRequest, job_id: UUID) -> HttpResponse:
    """An M3U with a link to the film, good for some hours."""
    job = asked_job(request, job_id)
    if job.status != Job.Status.COMPLETED:
        raise wrong_state(NO_FILM)
    return playlists.of_one(request, request.auth, job)
