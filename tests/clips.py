"""Jobs that make clips, moved on as their stage moves them."""

from __future__ import annotations

from apps.jobs import ledger
from apps.jobs.models import Job
from contract.generation import Generated


def claim(job: Job) -> Job:
    """Somebody begins to make the clip."""
    claimed = ledger.claim_stage(job.pk, Job.Status.INGESTING)
    assert isinstance(claimed, Job)
    return claimed


def complete(job: Job) -> None:
    """It is made."""
    finish(claim(job))


def finish(claimed: Job) -> None:
    prompt = claimed.get_prompt()
    assert prompt is not None
    clip = Generated(frames=prompt.frames, seconds=1.0, version="wan-1")
    picture = prompt.generation("file:///clip.mp4").picture
    assert ledger.finish_generate(claimed, clip, picture)
