"""A film by its address: the job that fetches it. Pages and API both call this."""

from __future__ import annotations

from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from apps.jobs import ledger
from apps.jobs.models import Job
from apps.jobs.names import as_title, title_of
from apps.jobs.once import once
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

    The same request again gives the job of the first time (`once`). Raises
    `StereoSpotError`: a quota is used up.
    """
    job.origin = origin.model_dump(mode="json")

    def save() -> None:
        ledger.create(job)
        ledger.fetch(job.pk)

    made = once(job, save, is_counted=isinstance(origin, Link))
    if made is job:
        job.refresh_from_db()
        after_commit(messages.send_stage, job)
    return made


def _title_of(link: Link) -> str:
    """What the address itself says, until what is found there says more."""
    there = link.bucket_and_key
    path = there[1] if there else unquote(urlsplit(link.url).path)
    name = PurePosixPath(path).name
    return title_of(name) if name else as_title(link.place)
