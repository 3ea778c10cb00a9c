"""A new job: what is asked for in a form, its files in parts (`views.parts`)."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from apps.jobs import ledger, uploads
from apps.jobs.forms import ENGINES, MODES, NewJobForm, WishesForm, licence_of
from apps.jobs.middleware import HEADER, policy
from apps.jobs.views.access import AuthenticatedRequest
from apps.jobs.views.parts import described, for_people
from apps.pipeline.fetching import allowed
from contract.modes import Engine


@require_http_methods(["GET", "HEAD", "POST"])
def new(request: AuthenticatedRequest) -> HttpResponse:
    return _begin(request) if request.method == "POST" else _page(request)


@for_people
def _begin(request: AuthenticatedRequest) -> HttpResponse:
    """A job that waits for its files, and what is to be sent where."""
    form = NewJobForm(request.POST)
    if not form.is_valid():
        errors = [
            {"field": name, "label": str(form[name].label), "messages": messages}
            for name, messages in form.errors.items()
        ]
        return JsonResponse({"errors": errors}, status=422)
    job = uploads.begin(
        form.job(request.user),
        film=form.film(),
        depth=form.depth(),
        request_id=form.cleaned_data["request_id"],
    )
    to_send = [described(each) for each in job.uploads.filter(arrived_at=None)]
    answer = {
        "id": str(job.pk),
        "title": job.title,
        "url": job.get_absolute_url(),
        "uploads": to_send,
    }
    return JsonResponse(answer, status=201)


def choices(form: WishesForm) -> dict[str, object]:
    """What a page shows of the form, each choice with what there is to know of it."""
    return {
        "form": form,
        "modes": [(radio, MODES[radio.data["value"]]) for radio in form["mode"]],
        "engines": [
            (
                radio,
                ENGINES[radio.data["value"]],
                licence_of(Engine(radio.data["value"])),
            )
            for radio in form["engine"]
        ],
    }


@login_required
def _page(request: AuthenticatedRequest) -> HttpResponse:
    context = choices(NewJobForm()) | {
        "can_link": allowed.is_on(),
        "can_prompt": settings.PROMPTS,
        "max_bytes": settings.MAX_SOURCE_BYTES,
        "max_hours": settings.MAX_SOURCE_SECONDS / 3600,
        "quota": ledger.quota_of(request.user),
        "unfinished": uploads.resumable(request.user),
    }
    response = render(request, "jobs/job_new.html", context)
    # The preview looks at the person's own file before it is uploaded.
    response[HEADER] = policy(media="blob:", connect=uploads.origin())
    return response
