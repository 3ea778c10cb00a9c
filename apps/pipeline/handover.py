"""Hand a task over to its producer: claim it, copy, complete, mirror, record.

The clips are in the producer's bucket before the task counts as completed. A crash at any
point leaves the task due, and doing it again does the same: the same bytes under the same
key, the same facts in the table.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from uuid import UUID

import structlog
from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings

from apps.jobs import ledger, storage
from apps.jobs.models import Job, VideoTask
from apps.pipeline import mirror
from apps.pipeline.backends.claims import uri
from apps.pipeline.leases import recorded
from contract.errors import StereoSpotError
from contract.keys import StoryKey

log = structlog.get_logger(__name__)


def hand_over(task_id: UUID) -> bool:
    """One attempt; whether the producer has all. What was lost the sweep asks for again."""
    claimed = recorded(lambda: ledger.claim_handover(task_id))
    if claimed is None:
        return False
    task, is_made = claimed
    try:
        done = _completed(task) if is_made else task
        if done is None:
            return False  # it has failed meanwhile, or is another attempt's
        if settings.STORY_TABLE:
            mirror.write(done)
    except (BotoCoreError, ClientError, StereoSpotError) as error:
        why = str(error)
        log.warning("not handed over", task=str(task), reason=why)
        recorded(lambda: ledger.note_not_handed_over(task, why))
        return False
    except Exception:
        log.exception("could not hand over", task=str(task))
        ours = "An error of ours: it is in the log."
        recorded(lambda: ledger.note_not_handed_over(task, ours))
        return False
    log.info("handed over", task=str(task), status=done.status)
    return recorded(lambda: ledger.note_handed_over(done))


def _completed(task: VideoTask) -> VideoTask | None:
    clips = recorded(lambda: list(task.clips.select_related("job")))
    urls = []
    for clip in clips:
        if clip.job is None:
            return None
        nth = clip.index if len(clips) > 1 else None
        urls.append(_copied(clip.job, StoryKey(task.parent_id, task.task_id, nth)))
    return recorded(lambda: ledger.complete_video_task(task, urls))


def _copied(job: Job, key: StoryKey) -> str:
    """Where the clip is then."""
    store = storage.story()
    with (
        storage.translated(),
        storage.result().local(job.final_key) as final,
        storage.temporary_dir() as folder,
    ):
        copy = Path(shutil.copyfile(final, folder / "clip.mp4"))
        store.put(str(key), copy)
    return uri(store, str(key))
