"""A new job, once for each request however often that is sent."""

from __future__ import annotations

from uuid import UUID, uuid5

from django.contrib.auth.models import User

from apps.jobs import linking, uploads
from apps.jobs.api import watching
from apps.jobs.api.access import TokenRequest
from apps.jobs.api.shapes import BroughtFile, MadeJob, NewJob
from apps.jobs.api.uploads import state_of
from apps.jobs.models import Job

_KEYS = UUID("0d1b6f43-6c52-4c1e-9a0e-2f7b1f0f5b6d")
"""Namespace of the ids that are made from clients' keys."""


def create(request: TokenRequest, new: NewJob, key: str | None) -> tuple[MadeJob, bool]:
    """The job, and whether it is new; raises `StereoSpotError`.

    The same request of the same person under the same `key` is the same job.
    """
    asked = _asked(request.auth, new)
    job = _begin(asked, new, uuid5(_KEYS, key) if key else None)
    made = MadeJob(
        **dict(watching.detail(request, job, watching.look(job).segments)),
        uploads=[state_of(upload) for upload in job.uploads.order_by("pk")],
    )
    return made, job is asked


def _begin(asked: Job, new: NewJob, request_id: UUID | None) -> Job:
    if new.link is not None:
        asked.request_id = request_id
        return linking.begin(asked, new.link)
    if new.prompt is not None:
        asked.request_id = request_id
        return linking.begin_prompt(asked, new.prompt)
    return uploads.begin(
        asked,
        film=_file(new.file),
        depth=_file(new.depth) if new.depth else None,
        request_id=request_id,
    )


def _asked(owner: User, new: NewJob) -> Job:
    return Job(
        owner=owner,
        title=new.title.strip(),
        mode=new.mode,
        engine=new.engine,
        max_disparity=new.settings.max_disparity,
        convergence=new.settings.convergence,
        reference=new.settings.reference,
    )


def _file(brought: BroughtFile | None) -> uploads.File:
    if brought is None:
        raise ValueError("a job without a link or a prompt has a file")
    return uploads.File(brought.name, brought.size)
