"""A job's page, and what people ask for on it."""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import Any
from uuid import UUID

from django.contrib import messages as notices
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe
from django_htmx.http import HttpResponseClientRefresh

from apps.jobs import estimates, ledger
from apps.jobs.middleware import HEADER, policy
from apps.jobs.models import Job
from apps.jobs.sending import after_commit
from apps.jobs.views.access import (
    AuthenticatedRequest,
    SeeOther,
    visible_job,
)
from apps.jobs.views.advice import Advice
from apps.jobs.views.media import media_origins, size_of_final
from apps.jobs.views.progress import Progress
from apps.jobs.views.viewing import Viewing
from apps.pipeline import messages, retrying
from contract.errors import StereoSpotError


@require_safe
@login_required
def job(request: AuthenticatedRequest, job_id: UUID) -> HttpResponse:
    """One page for the job's whole life."""
    job = visible_job(request.user, job_id)
    response = render(request, "jobs/job.html", _context(job))
    response[HEADER] = policy(media=media_origins())
    return response


@require_safe
def progress(request: HttpRequest, job_id: UUID) -> HttpResponse:
    """The live part of the job's page; 204 while it is what was `seen`."""
    if not request.user.is_authenticated:
        # A redirect would put the sign-in page into the middle of the job's.
        return HttpResponseClientRefresh()
    job = visible_job(request.user, job_id)
    context = _context(job, by=_promised(request)) | {"is_polled": True}
    if request.GET.get("seen") == context["progress"].mark and not job.is_over:
        return HttpResponse(status=HTTPStatus.NO_CONTENT)
    response = render(request, "jobs/_progress.html", context)
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
        again = retrying.retry(job.pk, by=request.user)
    except StereoSpotError as error:
        notices.error(request, error.message)
        return SeeOther(job.get_absolute_url())
    if again:
        after_commit(messages.send_retry, again)
        notices.success(request, "The job goes on from what is done.")
    else:
        notices.info(request, "There was nothing to retry: the job has not failed.")
    return SeeOther(job.get_absolute_url())


def _promised(request: HttpRequest) -> float | None:
    """Seconds from now, by which the page that asks has said that it will be done."""
    said = request.GET.get("by", "")
    # (No more digits than a time has: the page alone is misled by what it makes up.)
    return int(said) - time.time() if said.isdecimal() and len(said) < 12 else None


def _is_making(job: Job) -> bool:
    return job.status == Job.Status.INGESTING and job.lease_expires_at is not None


def _context(job: Job, *, by: float | None = None) -> dict[str, Any]:
    progress, prompt = Progress.of(job, by=by), job.get_prompt()
    is_complete = job.status == Job.Status.COMPLETED
    return {
        "job": job,
        "prompt": prompt,
        "usual": estimates.clip(prompt) if prompt and _is_making(job) else None,
        "progress": progress,
        # So that the next answer is not later, as long as this can be kept.
        "promised_at": progress.estimate and int(time.time() + progress.estimate.high),
        "advice": Advice.on(job),
        "final_size": size_of_final(job) if is_complete else None,
        "viewing": Viewing.of(job) if is_complete else None,
    }
