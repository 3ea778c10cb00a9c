"""A new job of a film that is made of a prompt; a form that needs no script."""

from __future__ import annotations

from uuid import uuid4

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from apps.jobs import estimates, ledger, linking
from apps.jobs.forms import PromptForm, licence_words
from apps.jobs.models import Job
from apps.jobs.statuses import status_of, with_pause
from apps.jobs.views.access import AuthenticatedRequest, SeeOther
from apps.jobs.views.link import begun
from apps.jobs.views.upload import choices
from contract.errors import StereoSpotError
from contract.generation import CLIPS_LICENCE


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def prompt(request: AuthenticatedRequest) -> HttpResponse:
    if not settings.PROMPTS:
        raise Http404
    if request.method != "POST":
        return _page(request, PromptForm(initial={"request_id": uuid4()}))
    form = PromptForm(request.POST)
    if not form.is_valid():
        return _page(request, form, status=422)

    def begin(job: Job) -> Job:
        return linking.begin_prompt(job, form.wish())

    try:
        job = begun(form, request.user, begin)
    except StereoSpotError as error:
        form.add_error(None, error.message)
        return with_pause(_page(request, form, status=status_of(error.code)), error)
    return SeeOther(job.get_absolute_url())


def _page(
    request: AuthenticatedRequest, form: PromptForm, *, status: int = 200
) -> HttpResponse:
    context = choices(form) | {
        "licence": licence_words(CLIPS_LICENCE),
        "expected": estimates.expected_clip(),
        "quota": ledger.quota_of(request.user),
    }
    return render(request, "jobs/job_prompt.html", context, status=status)
