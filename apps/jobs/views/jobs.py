"""The list of jobs, a job's page, and what people ask for on it."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages as notices
from django.contrib.auth.decorators import login_required
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.timezone import now
from django.views.decorators.http import require_POST, require_safe
from django_htmx.http import HttpResponseClientRefresh

from apps.jobs import ledger
from apps.jobs.middleware import HEADER, policy
from apps.jobs.models import ACTIVE, Job, Segment
from apps.jobs.sending import after_commit
from apps.jobs.views.access import (
    AuthenticatedRequest,
    SeeOther,
    visible_job,
    visible_jobs,
)
from apps.jobs.views.media import media_origin, size_of_final
from apps.jobs.views.progress import Progress
from apps.pipeline import messages, retrying
from contract.errors import Blame, ErrorCode, StereoSpotError

PAGE = 25
STATES = {
    "": ("All", None),
    "active": ("In progress", [Job.Status.CREATED, *ACTIVE]),
    "completed": ("Completed", [Job.Status.COMPLETED]),
    "failed": ("Failed", [Job.Status.FAILED]),
    "cancelled": ("Cancelled", [Job.Status.CANCELLED]),
}
ADVICE = {
    Blame.USER: "Trying again will not help with this file: convert another one.",
    Blame.OPERATOR: "Whoever runs StereoSpot must act first. Then retry: "
    "what is done is kept.",
    Blame.TRANSIENT: "Retry: what is done is kept, only the rest is converted again.",
    Blame.OURS: "Retry: what is done is kept. If it fails again, report the code below.",
}


@require_safe
@login_required
def job_list(request: AuthenticatedRequest) -> HttpResponse:
    state = request.GET.get("state", "")
    state = state if state in STATES else ""
    # PostgreSQL has no text with a null character in it.
    search = request.GET.get("q", "").replace("\0", "").strip()[:200]
    jobs, older = _page(_chosen(request, state, search), request.GET.get("before", ""))
    context = {
        "rows": _rows(jobs),
        "older": older,
        "is_first_page": "before" not in request.GET,
        "state": state,
        "states": [(key, label) for key, (label, _) in STATES.items()],
        "search": search,
    }
    return render(request, "jobs/job_list.html", context)


@require_safe
@login_required
def job(request: AuthenticatedRequest, job_id: UUID) -> HttpResponse:
    """One page for the job's whole life."""
    job = visible_job(request.user, job_id)
    response = render(request, "jobs/job.html", _context(job))
    response[HEADER] = policy(media=media_origin())
    return response


@require_safe
def progress(request: HttpRequest, job_id: UUID) -> HttpResponse:
    """The live part of the job's page."""
    if not request.user.is_authenticated:
        # A redirect would put the sign-in page into the middle of the job's.
        return HttpResponseClientRefresh()
    job = visible_job(request.user, job_id)
    response = render(request, "jobs/_progress.html", _context(job))
    if job.is_over:
        # The rest of the page changes too: other buttons, maybe a film to watch.
        response["HX-Refresh"] = "true"
    return response


@require_POST
@login_required
def cancel(request: AuthenticatedRequest, job_id: UUID) -> HttpResponse:
    job = visible_job(request.user, job_id)
    if ledger.cancel(job.pk):
        after_commit(messages.send_tidy, job.pk)
        notices.success(request, "The job is cancelled.")
    else:
        notices.info(request, "There was nothing to cancel: the job was over already.")
    return SeeOther(job.get_absolute_url())


@require_POST
@login_required
def delete(request: AuthenticatedRequest, job_id: UUID) -> HttpResponse:
    job = visible_job(request.user, job_id)
    if ledger.delete(job.pk):
        after_commit(messages.send_tidy, job.pk)
        told = f"“{job.title}” is deleted, and its files are being deleted."
        notices.success(request, told)
    else:
        notices.info(request, f"“{job.title}” was deleted already.")
    return SeeOther(reverse("job-list"))


@require_POST
@login_required
def retry(request: AuthenticatedRequest, job_id: UUID) -> HttpResponse:
    job = visible_job(request.user, job_id)
    try:
        again = retrying.retry(job.pk)
    except StereoSpotError as error:
        notices.error(request, error.message)
        return SeeOther(job.get_absolute_url())
    if again:
        after_commit(messages.send_retry, again)
        notices.success(request, "The job goes on from what is done.")
    else:
        notices.info(request, "There was nothing to retry: the job has not failed.")
    return SeeOther(job.get_absolute_url())


def _context(job: Job) -> dict[str, object]:
    is_complete = job.status == Job.Status.COMPLETED
    failed = job.status == Job.Status.FAILED
    return {
        "job": job,
        "progress": Progress.of(job),
        "advice": ADVICE[ErrorCode(job.error_code).blame] if failed else "",
        "final_size": size_of_final(job) if is_complete else None,
    }


def _chosen(request: AuthenticatedRequest, state: str, search: str) -> QuerySet[Job]:
    jobs = visible_jobs(request.user).defer("film", "picture")
    statuses = STATES[state][1]
    if statuses is not None:
        jobs = jobs.filter(status__in=statuses)
    if search:
        jobs = jobs.filter(title__icontains=search)
    return jobs.order_by("-created_at", "-id")


def _page(jobs: QuerySet[Job], before: str) -> tuple[list[Job], Job | None]:
    """The jobs after that with the id `before`; the last of them, if more follow."""
    try:
        last = jobs.filter(pk=UUID(before)).first() if before else None
    except ValueError:
        last = None
    if last is not None:
        at = last.created_at
        jobs = jobs.filter(Q(created_at__lt=at) | Q(created_at=at, id__lt=last.pk))
    page = list(jobs[: PAGE + 1])
    return page[:PAGE], page[PAGE - 1] if len(page) > PAGE else None


def _rows(jobs: list[Job]) -> list[dict[str, object]]:
    # Counted for this page only; joined to the list, it would count for all jobs.
    segments = Segment.objects.filter(job__in=jobs, status=Segment.Status.DONE)
    counted = segments.order_by().values_list("job").annotate(Count("pk"))
    done = dict(counted)
    return [
        {"job": job, "done": done.get(job.pk, 0), "took": _took(job)} for job in jobs
    ]


def _took(job: Job) -> float | None:
    """Seconds of work so far, or in all."""
    if job.started_at is None:
        return None
    return ((job.finished_at or now()) - job.started_at).total_seconds()
