"""The list of jobs: by state, by title, a page at a time, from indexes alone."""

from __future__ import annotations

from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.db.models import Q, QuerySet, TextField, Value
from django.db.models.functions import Cast
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from apps.jobs.models import ACTIVE, Job
from apps.jobs.models.grams import Grams
from apps.jobs.rows import Row
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
        "rows": Row.of(jobs),
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
