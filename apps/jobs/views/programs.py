"""The page “API”: tokens for a person's programs, and where to tell them what happened.

What is secret is shown once, in the answer to the request that made it.
"""

from __future__ import annotations

from django.contrib import messages as notices
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from apps.jobs import ledger, subscribing, tokens
from apps.jobs.models import ApiToken, Notice
from apps.jobs.program_forms import TokenForm, WebhookForm
from apps.jobs.views.access import AuthenticatedRequest, SeeOther
from apps.pipeline.channels import webhook
from contract.errors import StereoSpotError

MOST_TOKENS = 50
SHOWN = 20
"""Newest notices of the log."""


@require_safe
@login_required
def programs_page(request: AuthenticatedRequest) -> HttpResponse:
    return _page(request)


@require_POST
@login_required
def make_token(request: AuthenticatedRequest) -> HttpResponse:
    form = TokenForm(request.POST)
    if ApiToken.objects.filter(owner=request.user).count() >= MOST_TOKENS:
        form.add_error(None, f"{MOST_TOKENS} tokens are the most: revoke one first.")
    if not form.is_valid():
        return _page(request, token_form=form, status=422)
    name = form.cleaned_data["name"]
    _, token = tokens.make(request.user, name, form.expires_at())
    return _page(request, secret=token, what=f"The token “{name}”")


@require_POST
@login_required
def revoke_token(request: AuthenticatedRequest, token_id: int) -> HttpResponse:
    token = get_object_or_404(ApiToken, pk=token_id, owner=request.user)
    token.delete()
    notices.success(request, f"The token “{token.name}” opens nothing any more.")
    return SeeOther(reverse("programs"))


@require_POST
@login_required
def add_webhook(request: AuthenticatedRequest) -> HttpResponse:
    form = WebhookForm(request.POST)
    if not form.is_valid():
        return _page(request, webhook_form=form, status=422)
    try:
        made = subscribing.add_webhook(request.user, form.cleaned_data["url"])
    except StereoSpotError as error:
        form.add_error("url", error.message)
        return _page(request, webhook_form=form, status=422)
    return _page(request, secret=webhook.secret(made), what="The secret of the webhook")


@require_POST
@login_required
def remove_webhook(request: AuthenticatedRequest, webhook_id: int) -> HttpResponse:
    mine = get_object_or_404(subscribing.webhooks_of(request.user), pk=webhook_id)
    ledger.unsubscribe(mine.pk)
    notices.success(request, f"{mine.target} is told nothing any more.")
    return SeeOther(reverse("programs"))


def _page(
    request: AuthenticatedRequest,
    *,
    token_form: TokenForm | None = None,
    webhook_form: WebhookForm | None = None,
    secret: str = "",
    what: str = "",
    status: int = 200,
) -> HttpResponse:
    webhooks = subscribing.webhooks_of(request.user)
    log = Notice.objects.filter(subscription__in=webhooks)
    context = {
        "tokens": ApiToken.objects.filter(owner=request.user),
        "webhooks": webhooks,
        "log": log.select_related("subscription")[:SHOWN],
        "token_form": token_form or TokenForm(),
        "webhook_form": webhook_form or WebhookForm(),
        "secret": secret,
        "what": what,
    }
    response = render(request, "jobs/programs.html", context, status=status)
    response["Cache-Control"] = "no-store"
    return response
