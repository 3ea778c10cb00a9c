"""Jobs: make, list, watch, cancel, retry, delete, and get what became of them."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.cache import get_conditional_response
from django.utils.timezone import now
from ninja import Header, Query, Router, Status

from apps.jobs import ledger
from apps.jobs.api import creating, watching
from apps.jobs.api.access import TokenRequest, asked_job
from apps.jobs.api.cursors import Cursor
from apps.jobs.api.problems import NO_FILM, answers, wrong_state
from apps.jobs.api.shapes import (
    EventPage,
    JobDetail,
    JobEvent,
    JobPage,
    JobSummary,
    MadeJob,
    NewJob,
    Result,
    SegmentPage,
    SegmentRow,
    State,
)
from apps.jobs.models import Job
from apps.jobs.names import download_name
from apps.jobs.sending import after_commit
from apps.jobs.views.links import LINK_SECONDS, link
from apps.jobs.views.listing import chosen
from apps.jobs.views.media import size_of_final
from apps.jobs.views.progress import with_waits
from apps.pipeline import messages, retrying
from contract.keys import MAX_SEGMENTS

router = Router(tags=["Jobs"])

MOST_EVENTS = 500


@router.get("", response=answers(200, JobPage, 422))
def list_jobs(
    request: TokenRequest,
    state: State | None = None,
    q: Annotated[str, Query(max_length=200)] = "",
    after: Annotated[str, Query(max_length=200)] = "",
    limit: Annotated[int, Query(ge=1, le=100)] = 25,
) -> JobPage:
    """Your jobs, newest first; of everybody's, where you are staff."""
    jobs = chosen(request.auth, state or "", q)
    if after:
        jobs = Cursor.parse(after).after(jobs)
    page = list(jobs[: limit + 1])
    last = page[limit - 1] if len(page) > limit else None
    return JobPage(
        jobs=[JobSummary.of(job) for job in page[:limit]],
        next=str(Cursor(last.created_at, last.pk)) if last else None,
    )


@router.get("/{uuid:job_id}", response=answers(200, JobDetail, 404) | {304: None})
def show_job(
    request: TokenRequest,
    response: HttpResponse,
    job_id: UUID,
    if_none_match: Annotated[str | None, Header(alias="If-None-Match")] = None,
) -> JobDetail | HttpResponse:
    """The job as it is now. Ask again with `If-None-Match`: 304 says nothing changed."""
    job = asked_job(request, job_id)
    seen = watching.look(job)
    if unchanged := get_conditional_response(request, etag=seen.etag):
        unchanged["ETag"] = seen.etag
        return unchanged
    response["ETag"] = seen.etag
    response["Cache-Control"] = "private, no-cache"
    return watching.detail(request, job, seen.segments)


@router.post(
    "",
    response=answers(201, MadeJob, 403, 409, 413, 422, 429, 503, 507) | {200: MadeJob},
)
def create_job(
    request: TokenRequest,
    response: HttpResponse,
    new: NewJob,
    idempotency_key: Annotated[
        str | None, Header(alias="Idempotency-Key", max_length=255)
    ] = None,
) -> Status[MadeJob]:
    """A new job, which waits for its files: send their parts, then complete them.

    The same request with the same `Idempotency-Key` again is the same job, and 200.
    """
    made, is_new = creating.create(request, new, idempotency_key)
    response["Location"] = reverse("api:show_job", args=[made.id])
    return Status(201 if is_new else 200, made)


@router.get("/{uuid:job_id}/events", response=answers(200, EventPage, 404, 422))
def list_events(
    request: TokenRequest,
    job_id: UUID,
    after: Annotated[int, Query(ge=0, le=2**63 - 1)] = 0,
) -> EventPage:
    """What happened since the event `after`, at most 500 at once."""
    job = asked_job(request, job_id)
    events = [
        JobEvent(
            id=event.pk,
            at=event.at,
            kind=event.kind,
            detail=event.detail,
            segment=event.segment_index,
        )
        for event in job.events.filter(id__gt=after).order_by("id")[:MOST_EVENTS]
    ]
    return EventPage(events=events, last=events[-1].id if events else after)


@router.get("/{uuid:job_id}/segments", response=answers(200, SegmentPage, 404, 422))
def list_segments(
    request: TokenRequest,
    job_id: UUID,
    first: Annotated[int, Query(ge=0, lt=MAX_SEGMENTS)] = 0,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> SegmentPage:
    """The segments from `first` on, once the film is cut."""
    job = asked_job(request, job_id)
    found = job.segments.defer("frames", "depth").filter(index__gte=first)
    page = list(with_waits(found).order_by("index")[: limit + 1])
    return SegmentPage(
        segments=[SegmentRow.of(segment) for segment in page[:limit]],
        next=page[limit].index if len(page) > limit else None,
    )


@router.get("/{uuid:job_id}/result", response=answers(200, Result, 404, 409))
def show_result(request: TokenRequest, job_id: UUID) -> Result:
    """A link to the film that was made, good for some hours."""
    job = asked_job(request, job_id)
    if job.status != Job.Status.COMPLETED:
        raise wrong_state(NO_FILM)
    size = size_of_final(job)
    if size is None:
        raise Http404
    return Result(
        url=link(request, request.auth, job),
        expires_at=now() + timedelta(seconds=LINK_SECONDS),
        file_name=download_name(job),
        size=size,
    )


@router.post("/{uuid:job_id}/cancel", response=answers(200, JobDetail, 404, 409))
def cancel_job(request: TokenRequest, job_id: UUID) -> JobDetail:
    """Stop the work for good."""
    job = asked_job(request, job_id)
    if not ledger.cancel(job.pk):
        raise wrong_state("There is nothing to cancel: the job is over.")
    after_commit(messages.send_tidy, job.pk)
    return _shown(request, job)


@router.post(
    "/{uuid:job_id}/retry",
    response=answers(200, JobDetail, 403, 404, 409, 429, 503),
)
def retry_job(request: TokenRequest, job_id: UUID) -> JobDetail:
    """Go on with a failed job from what is done. Quotas hold as for a new one."""
    job = asked_job(request, job_id)
    again = retrying.retry(job.pk, by=request.auth)
    if again is None:
        raise wrong_state("There is nothing to retry: the job has not failed.")
    after_commit(messages.send_retry, again)
    return _shown(request, job)


@router.delete("/{uuid:job_id}", response=answers(204, None, 404))
def delete_job(request: TokenRequest, job_id: UUID) -> Status[None]:
    """The job is gone at once, its files soon after."""
    job = asked_job(request, job_id)
    if ledger.delete(job.pk):
        after_commit(messages.send_tidy, job.pk)
    return Status(204, None)


def _shown(request: HttpRequest, job: Job) -> JobDetail:
    """The job after it was changed."""
    job.refresh_from_db()
    return watching.detail(request, job, watching.look(job).segments)
