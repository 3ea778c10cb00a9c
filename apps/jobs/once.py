"""The same request again: one job of each, however often it comes, or at the same moment.

    made = once(job, save)      # `job` as it would be, with the `request_id` that it came with
    if made is not job: …       # an earlier one

Whoever asks again for the same gets the job of the first time. Whoever asks for something
else under the same id, or for a job that was deleted, is refused (`UsedError`): a page that
knows that it is another request asks under another id (`UsedError.another_id`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from uuid import UUID, uuid5

from django.db import IntegrityError, transaction

from apps.jobs import limits
from apps.jobs.models import Job, Upload
from contract.errors import ErrorCode, StereoSpotError
from contract.origins import Link, Prompt


class UsedError(StereoSpotError):
    """The request's id was used: for something else, or for a job that was deleted."""

    def __init__(self, code: ErrorCode, message: str, known: Job) -> None:
        super().__init__(code, message)
        self._known = known

    @property
    def another_id(self) -> UUID:
        """For the request that was meant; the same one however often that is sent."""
        return uuid5(self._known.pk, str(self._known.request_id))


def once(
    job: Job,
    save: Callable[[], None],
    *,
    brought: Sequence[Upload] = (),
    is_counted: bool = True,
) -> Job:
    """`job`, after `save` has saved it, or the job that the same request has made before.

    `brought` are the files that are to come with it. `is_counted` says whether somebody
    asks, who may do so only so often (`limits.CREATION`); asking again does not count.
    """
    if known := _known(job, brought):
        return known
    if is_counted:
        limits.count(limits.CREATION, job.owner_id)
    try:
        with transaction.atomic():
            save()
    except (IntegrityError, StereoSpotError):
        # The same request at the same moment: it also took the last place of a quota.
        if known := _known(job, brought):
            return known
        raise
    return job


def _known(job: Job, brought: Sequence[Upload]) -> Job | None:
    if job.request_id is None:
        return None
    same = Job.objects.filter(owner=job.owner_id, request_id=job.request_id)
    known = same.first()
    if known is None:
        return None
    if known.status == Job.Status.DELETED:
        message = "The job of this request was deleted: ask under a new key."
        raise UsedError(ErrorCode.WRONG_STATE, message, known)
    if _wishes(known, list(known.uploads.all())) != _wishes(job, brought):
        message = "This key was used for another request: take a new one."
        raise UsedError(ErrorCode.INVALID_INPUT, message, known)
    return known


def _wishes(job: Job, brought: Sequence[Upload]) -> tuple[object, ...]:
    files = {each.kind: (each.name, each.size) for each in brought}
    return _wanted(job), files, job.mode, job.engine, job.settings, _title(job)


def _wanted(job: Job) -> object:
    """Of a prompt what was said; the seed may have been drawn."""
    origin = job.get_origin()
    return origin.wish if isinstance(origin, Prompt) else origin


def _title(job: Job) -> str | None:
    """None where it may be what was found when the film was fetched."""
    origin = job.get_origin()
    return None if isinstance(origin, Link) and not origin.is_titled else job.title
