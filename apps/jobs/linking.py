"""A film that nobody brings: by its address, or by a prompt. Pages and API both call this."""

from __future__ import annotations

from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from django.conf import settings

from apps.jobs import ledger
from apps.jobs.models import Job
from apps.jobs.names import as_title, title_of
from apps.jobs.once import once
from apps.jobs.sending import after_commit
from apps.pipeline import messages
from apps.pipeline.fetching import allowed
from contract.errors import ErrorCode, StereoSpotError
from contract.generation import ClipWish
from contract.origins import Link, Origin, Prompt

LONGEST_TITLE = 60
"""Characters of a prompt that are its clip's title."""


def begin(job: Job, url: str) -> Job:
    """Save a new job and have its film fetched; `job` says owner, mode, engine and the like.

    Raises `StereoSpotError`: the address is not taken, or a quota is used up.
    """
    link = allowed.link_to(url, is_titled=bool(job.title))
    job.title = job.title or _title_of(link)
    return begin_from(job, link, is_asked=True)


def begin_prompt(job: Job, wish: ClipWish) -> Job:
    """Save a new job and have its film made; what `job` says is as above.

    Raises `StereoSpotError`: no clips are made here, or a quota is used up.
    """
    if not settings.PROMPTS:
        message = "Clips are not made of prompts here: ask whoever runs this."
        raise StereoSpotError(ErrorCode.PROMPT_REFUSED, message)
    return begin_from(job, Prompt.of(wish), is_asked=True)


def begin_from(job: Job, origin: Origin, *, is_asked: bool = False) -> Job:
    """Save a new job and have its film fetched or made.

    The same request again gives the job of the first time (`once`). `is_asked`: a person
    asks, who may do so only so often. Raises `StereoSpotError`: a quota is used up.
    """
    if isinstance(origin, Prompt):
        job.title = job.title or title_of_prompt(origin)
    job.origin = origin.model_dump(mode="json")

    def save() -> None:
        ledger.create(job)
        ledger.fetch(job.pk)

    made = once(job, save, is_counted=is_asked)
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


def title_of_prompt(prompt: Prompt) -> str:
    """Its first words."""
    words = as_title(prompt.wish.prompt) or "Untitled"
    if len(words) <= LONGEST_TITLE:
        return words
    return words[:LONGEST_TITLE].rsplit(" ", 1)[0] + "…"
