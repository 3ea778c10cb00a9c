"""A new job, once for each request however often that is sent."""

from __future__ import annotations

from uuid import UUID, uuid5

from django.contrib.auth.models import User

from apps.jobs import limits, linking, uploads
from apps.jobs.api import watching
from apps.jobs.api.access import TokenRequest
from apps.jobs.api.problems import wrong_state
from apps.jobs.api.shapes import BroughtFile, MadeJob, NewJob
from apps.jobs.api.uploads import state_of
from apps.jobs.models import Job, Upload
from apps.jobs.names import title_of
from contract.errors import ErrorCode, StereoSpotError
from contract.origins import Link

_KEYS = UUID("0d1b6f43-6c52-4c1e-9a0e-2f7b1f0f5b6d")
"""Namespace of the ids that are made from clients' keys."""


def create(request: TokenRequest, new: NewJob, key: str | None) -> tuple[MadeJob, bool]:
    """The job, and whether it is new; raises `StereoSpotError`.

    The same request of the same person under the same `key` is the same job.
    """
    asked = _asked(request.auth, new)
    request_id = uuid5(_KEYS, key) if key else None
    job = _known(request.auth, request_id)
    if job is None:
        limits.count(limits.CREATION, request.auth.pk)
        job = _begin(asked, new, request_id)
    if job is not asked:
        _refuse_another(job, new)
    made = MadeJob(
        **dict(watching.detail(request, job, watching.look(job).segments)),
        uploads=[state_of(upload) for upload in job.uploads.order_by("pk")],
    )
    return made, job is asked


def _begin(asked: Job, new: NewJob, request_id: UUID | None) -> Job:
    if new.link is not None:
        asked.request_id = request_id
        return linking.begin(asked, new.link)
    return uploads.begin(
        asked,
        film=_file(new.file),
        depth=_file(new.depth) if new.depth else None,
        request_id=request_id,
    )


def _asked(owner: User, new: NewJob) -> Job:
    return Job(
        owner=owner,
        title=_title(new),
        mode=new.mode,
        engine=new.engine,
        max_disparity=new.settings.max_disparity,
        convergence=new.settings.convergence,
        reference=new.settings.reference,
    )


def _known(owner: User, request_id: UUID | None) -> Job | None:
    if request_id is None:
        return None
    return Job.objects.filter(owner=owner, request_id=request_id).first()


def _refuse_another(job: Job, new: NewJob) -> None:
    """A key is good for one request."""
    if job.status == Job.Status.DELETED:
        raise wrong_state("The job of this Idempotency-Key was deleted.")
    files = {Upload.Kind.FILM: new.file, Upload.Kind.DEPTH: new.depth}
    brought = {
        str(kind): (file.name, file.size) for kind, file in files.items() if file
    }
    was = (job.mode, job.engine, job.settings, _brought(job), _url(job))
    is_same = was == (new.mode, new.engine, new.settings, brought, new.link)
    # Of a link the title may be what was found there.
    if not is_same or (new.link is None and job.title != _title(new)):
        message = "This Idempotency-Key was used for another request: take a new one."
        raise StereoSpotError(ErrorCode.INVALID_INPUT, message)


def _brought(job: Job) -> dict[str, tuple[str, int]]:
    rows = job.uploads.values_list("kind", "name", "size")
    return {kind: (name, size) for kind, name, size in rows}


def _url(job: Job) -> str | None:
    origin = job.get_origin()
    return origin.url if isinstance(origin, Link) else None


def _title(new: NewJob) -> str:
    """Empty for a link, which says its title itself."""
    title = new.title.strip()
    return title or (title_of(new.file.name) if new.file else "")


def _file(brought: BroughtFile | None) -> uploads.File:
    if brought is None:
        raise ValueError("a job without a link has a file")
    return uploads.File(brought.name, brought.size)
