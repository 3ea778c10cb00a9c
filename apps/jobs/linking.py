"""A film by its address: the job that fetches it. Pages and API both call this."""

from __future__ import annotations

from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from django.db import IntegrityError, transaction

from apps.jobs import ledger
from apps.jobs.models import Job
from apps.jobs.names import title_of
from apps.jobs.sending import after_commit
from apps.pipeline import messages
from apps.pipeline.fetching import allowed
from contract.origins import Dropped, Link


def begin(job: Job, url: str) -> Job:
    """Save a new job and have its film fetched; `job` says owner, mode, engine and the like.

    Raises `StereoSpotError`: the address is not taken, or a quota is used up.
    """
    link = allowed.link_to(url, is_titled=bool(job.title))
    job.title = job.title or _title_of(link)
    return begin_from(job, link)


def begin_from(job: Job, origin: Link | Dropped) -> Job:
    """Save a new job and have its film fetched from where nobody need be asked.

    With a `request_id`, the same owner's job of the same request, should there be one.
    Raises `StereoSpotError`: a quota is used up.
    """
    job.origin = origin.model_dump(mode="json")
    try:
        with transaction.atomic():
            ledger.create(job)
            ledger.fetch(job.pk)
    except IntegrityError:
        same = Job.objects.filter(owner=job.owner_id, request_id=job.request_id)
        if job.request_id and (known := same.first()):
            return known
        raise
    job.refresh_from_db()
    after_commit(messages.send_stage, job)
    return job


def _title_of(link: Link) -> str:
    """What the address itself says, until what is found there says more."""
    there = link.bucket_and_key
    path = there[1] if there else unquote(urlsplit(link.url).path)
    name = PurePosixPath(path).name
    return title_of(name) if name else link.place
