"""A new job of a film that is fetched from its address; a form that needs no script."""

from __future__ import annotations

from collections.abc import Callable
from uuid import uuid4

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from apps.jobs import ledger, linking
from apps.jobs.forms import LinkForm, WishesForm
from apps.jobs.models import Job
from apps.jobs.once import UsedError
from apps.jobs.statuses import status_of, with_pause
from apps.jobs.views.access import AuthenticatedRequest, SeeOther
from apps.jobs.views.upload import choices
from apps.pipeline.fetching import allowed
from contract.errors import ErrorCode, StereoSpotError


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def link(request: AuthenticatedRequest) -> HttpResponse:
    if not allowed.is_on():
        raise Http404
    if request.method != "POST":
        return _page(request, LinkForm(initial={"request_id": uuid4()}))
    form = LinkForm(request.POST)
    if not form.is_valid():
        return _page(request, form, status=422)
    try:
        url = form.cleaned_data["url"]
        job = begun(form, request.user, lambda job: linking.begin(job, url))
    except StereoSpotError as error:
        is_about_url = error.code is ErrorCode.LINK_REFUSED
        form.add_error("url" if is_about_url else None, error.message)
        return with_pause(_page(request, form, status=status_of(error.code)), error)
    return SeeOther(job.get_absolute_url())


def begun(form: WishesForm, owner: User, begin: Callable[[Job], Job]) -> Job:
    """The job of a valid form, which `begin` begins. The same form sent twice is one job; whoever went back and changed it, or has deleted
    that job, means another."""
    request_id = form.cleaned_data["request_id"]
    while True:
        job = form.job(owner)
        job.request_id = request_id
        try:
            return begin(job)
        except UsedError as used:
            request_id = used.another_id


def _page(
    request: AuthenticatedRequest, form: LinkForm, *, status: int = 200
) -> HttpResponse:
    context = choices(form) | {
        "places": _places(),
        "max_bytes": settings.MAX_SOURCE_BYTES,
        "max_hours": settings.MAX_SOURCE_SECONDS / 3600,
        "quota": ledger.quota_of(request.user),
    }
    return render(request, "jobs/job_link.html", context, status=status)


def _places() -> str:
    """From where films are fetched, in a sentence."""
    hosts = ["any site" if host == "*" else host for host in settings.INGEST_HOSTS]
    buckets = [f"s3://{bucket}/" for bucket in settings.INGEST_BUCKETS]
    return f"Films are fetched from {', '.join(hosts + buckets)}."
