"""The list of jobs: by state, by title, a page at a time, from indexes alone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.db.models import Count, Q, QuerySet, TextField, Value
from django.db.models.functions import Cast
from django.http import HttpResponse
from django.shortcuts import render
from django.utils.timezone import now
from django.views.decorators.http import require_safe

from apps.jobs.models import ACTIVE, Job, Segment
from apps.jobs.models.grams import Grams
from apps.jobs.views.access import AuthenticatedRequest, visible_jobs

PAGE = 25
STATES = {
    "": ("All", None),
    "active": ("In progress", [Job.Status.CREATED, *ACTIVE]),
    "completed": ("Completed", [Job.Status.COMPLETED]),
    "failed": ("Failed", [Job.Status.FAILED]),
    "cancelled": ("Cancelled", [Job.Status.CANCELLED]),
}


@require_safe
@login_required
def job_list(request: AuthenticatedRequest) -> HttpResponse:
    state = request.GET.get("state", "")
    state = state if state in STATES else ""
    search = request.GET.get("q", "")[:200]
    jobs, older = _page(
        chosen(request.user, state, search), request.GET.get("before", "")
    )
    context = {
        "rows": _rows(jobs),
        "older": older,
        "is_first_page": "before" not in request.GET,
        "state": state,
        "states": [(key, label) for key, (label, _) in STATES.items()],
        "search": search,
    }
    return render(request, "jobs/job_list.html", context)


def chosen(user: User, state: str, search: str) -> QuerySet[Job]:
    """The jobs that `user` may see, newest first, of one of the `STATES`, by title."""
    jobs = visible_jobs(user).defer("film", "picture")
    # PostgreSQL has no text with a null character in it.
    search = search.replace("\0", "").strip()
    statuses = STATES[state][1]
    if statuses is not None:
        jobs = jobs.filter(status__in=statuses)
    if search:
        jobs = jobs.filter(title__icontains=search)
        # The same once more, but so that the index can answer it.
        grams = Grams(Cast(Value(search), TextField()), 3)
        jobs = jobs.alias(grams=Grams("title", 1)).filter(grams__contains=grams)
    return jobs.order_by("-created_at", "-id")


def _page(jobs: QuerySet[Job], before: str) -> tuple[list[Job], Job | None]:
    """The jobs after that with the id `before`; the last of them, if more follow."""
    try:
        last = jobs.filter(pk=UUID(before)).first() if before else None
    except ValueError:
        last = None
    if last is not None:
        at = last.created_at
        # The first condition follows from the second, but an index can begin with it.
        jobs = jobs.filter(created_at__lte=at)
        jobs = jobs.filter(Q(created_at__lt=at) | Q(id__lt=last.pk))
    page = list(jobs[: PAGE + 1])
    return page[:PAGE], page[PAGE - 1] if len(page) > PAGE else None


def _rows(jobs: Sequence[Job]) -> list[dict[str, object]]:
    undone = _undone(jobs)
    return [
        {
            "job": job,
            "done": (job.total_segments or 0) - undone.get(job.pk, 0),
            "took": _took(job),
        }
        for job in jobs
    ]


def _undone(jobs: Sequence[Job]) -> dict[UUID, int]:
    """How many segments are not done yet, of each job of one page.

    The undone ones, for they have an index of their own, which films that are finished
    are not in: so nobody counts through the segments of a page of long films.
    """
    cut = [job for job in jobs if job.status != Job.Status.COMPLETED]
    segments = Segment.objects.filter(job__in=cut).exclude(status=Segment.Status.DONE)
    return dict(segments.order_by().values_list("job").annotate(Count("pk")))


def _took(job: Job) -> float | None:
    """Seconds of work so far, or in all."""
    if job.started_at is None:
        return None
    end: datetime = job.finished_at or now()
    return (end - job.started_at).total_seconds()
