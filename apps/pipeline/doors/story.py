"""Messages of Story IV: each becomes a task with its jobs, or a failed one that says why.

A task is known by its ids: the same message again, late or at the same moment, is the same
task, whatever else it says then. Of a message without ids nobody could be told; it goes to
the dead letters.
"""

from __future__ import annotations

from typing import Any

import structlog
from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User

from apps.jobs import ledger
from apps.jobs.linking import title_of_prompt
from apps.jobs.models import Job, VideoTask
from apps.jobs.names import as_title
from apps.jobs.sending import after_commit
from apps.pipeline import messages
from apps.pipeline.doors import envelopes
from contract.modes import FLAT
from contract.origins import Prompt
from contract.story import (
    StoryError,
    TaskIds,
    VideoJob,
    ids_of,
    unknown_fields,
    video_job,
)
from workers.bridge import UnintelligibleError

log = structlog.get_logger(__name__)

MOST_NAMES = 20
"""Of unknown fields, in the log."""


def handle(body: str) -> None:
    """One message; raises `UnintelligibleError`, and what the database raises."""
    message = envelopes.opened(body, topics=settings.BRIDGE_TOPICS)
    ids = ids_of(message)
    if ids is None:
        raise UnintelligibleError(
            "it has no parent_id and task_id of 1 to 128 letters, digits, - and _"
        )
    if unknown := unknown_fields(message):
        names = [name[:80] for name in unknown[:MOST_NAMES]]
        log.info("fields ignored", task="/".join(ids), fields=names)
    try:
        wanted = video_job(message)
    except StoryError as error:
        _refuse(ids, message, str(error))
    else:
        _begin(ids, wanted)


def _refuse(ids: TaskIds, message: dict[str, Any], reason: str) -> None:
    prompt = message.get("prompt")
    said = as_title(prompt) if isinstance(prompt, str) else ""
    task = VideoTask(**ids._asdict(), prompt=said)
    if ledger.refuse_video_task(task, reason):
        log.warning("task refused", task=str(task), reason=reason)
        after_commit(messages.send_handover, task)


def _begin(ids: TaskIds, wanted: VideoJob) -> None:
    first = Prompt.of(wanted.wish(wanted.seed))
    jobs = [_job(Prompt.of(wanted.wish(n))) for n in wanted.seeds(first.seed)]
    task = VideoTask(
        **ids._asdict(),
        prompt=wanted.prompt,
        request=wanted.model_dump(mode="json", exclude_none=True),
        seed=first.seed,
        width=first.width,
        height=first.height,
    )
    if not ledger.begin_video_task(task, jobs):
        log.info("task is known", task=str(task))
        return
    log.info("task begun", task=str(task), jobs=[str(job.pk) for job in jobs])
    for job in jobs:
        job.refresh_from_db()
        after_commit(messages.send_stage, job)


def _job(prompt: Prompt) -> Job:
    return Job(
        owner=_owner(),
        title=title_of_prompt(prompt),
        mode=FLAT,
        origin=prompt.model_dump(mode="json"),
    )


def _owner() -> User:
    """Whose jobs these are: an account that nobody can sign in to, unless one is named."""
    owner, _ = User.objects.get_or_create(
        username=settings.STORY_OWNER, defaults={"password": make_password(None)}
    )
    return owner
