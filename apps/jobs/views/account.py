"""A person's own account: quota, ways of being told, password, other sessions."""

from __future__ import annotations

from django import forms
from django.conf import settings
from django.contrib import messages as notices
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.decorators import login_required
from django.contrib.auth.forms import PasswordChangeForm
from django.contrib.auth.models import User
from django.contrib.auth.password_validation import password_validators_help_texts
from django.http import HttpResponse, JsonResponse, QueryDict
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.cache import cache_control
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST, require_safe
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from apps.jobs import ledger, limits, subscribing
from apps.jobs.limits import TooManyRequestsError
from apps.jobs.models import Subscription
from apps.jobs.views.access import AuthenticatedRequest, SeeOther
from apps.jobs.views.sign_in import DEVICE
from apps.pipeline.channels import push
from contract.errors import StereoSpotError
from contract.notices import NoticeKind

ENDS = [NoticeKind.COMPLETED, NoticeKind.FAILED]


class PasswordForm(PasswordChangeForm):
    def __init__(self, user: User, data: QueryDict | None = None) -> None:
        super().__init__(user, data)
        # It is one of several forms of the page, none of which comes first.
        self.fields["old_password"].widget.attrs.pop("autofocus", None)
        self.fields["new_password1"].help_text = " ".join(
            password_validators_help_texts()
        )
        self.fields["new_password2"].label = "New password, again"
        self.fields["new_password2"].help_text = ""


class ElsewhereForm(forms.Form):
    """Their password, from somebody who may just have found the screen unlocked."""

    password = forms.CharField(
        label="Password",
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
        error_messages={"required": "Give your password."},
    )


class Browser(BaseModel):
    """What `PushSubscription.toJSON()` says, and which browser it is."""

    model_config = ConfigDict(extra="ignore")

    endpoint: str = Field(max_length=subscribing.LONGEST)
    keys: dict[str, str] = Field(max_length=5)
    name: str = Field(default="", max_length=200)


@require_safe
@login_required
def account(request: AuthenticatedRequest) -> HttpResponse:
    return _page(request)


@sensitive_post_parameters()
@require_POST
@login_required
def change_password(request: AuthenticatedRequest) -> HttpResponse:
    """Every other session of the person ends with it, for it is signed with the old one."""
    if _is_guessing(request):
        return SeeOther(reverse("account"))
    form = PasswordForm(request.user, request.POST)
    if not form.is_valid():
        return _page(request, password_form=form, status=422)
    limits.forget(DEVICE, _own(request.user))
    form.save()
    update_session_auth_hash(request, form.user)
    notices.success(
        request, "Your password is changed. You are signed out everywhere else."
    )
    return SeeOther(reverse("account"))


@sensitive_post_parameters()
@require_POST
@login_required
def sign_out_elsewhere(request: AuthenticatedRequest) -> HttpResponse:
    """The same password, salted anew: what other sessions are signed with is gone."""
    if _is_guessing(request):
        return SeeOther(reverse("account"))
    user, form = request.user, ElsewhereForm(request.POST)
    if form.is_valid() and not user.check_password(form.cleaned_data["password"]):
        form.add_error("password", "That is not your password.")
    if not form.is_valid():
        return _page(request, elsewhere_form=form, status=422)
    limits.forget(DEVICE, _own(user))
    user.set_password(form.cleaned_data["password"])
    user.save(update_fields=["password"])
    update_session_auth_hash(request, user)
    notices.success(request, "You are signed out everywhere else.")
    return SeeOther(reverse("account"))


@require_POST
@login_required
def tell_by_mail(request: AuthenticatedRequest) -> HttpResponse:
    user, channel = request.user, Subscription.Channel.MAIL
    if "stop" in request.POST:
        for mail in Subscription.objects.filter(owner=user, channel=channel):
            ledger.unsubscribe(mail.pk)
        notices.success(request, "You get no more mail.")
    elif settings.EMAIL_HOST and user.email:
        facts = {"kinds": ENDS, "failing_since": None, "stopped_at": None}
        Subscription.objects.update_or_create(
            owner=user, channel=channel, target="", defaults=facts
        )
        told = f"You get mail to {user.email} when a film is ready or has failed."
        notices.success(request, told)
    return SeeOther(reverse("account") + "#notifications")


@require_POST
@login_required
def tell_browser(request: AuthenticatedRequest) -> JsonResponse:
    """Asked by the account page's script, once the browser has a push service."""
    try:
        browser = Browser.model_validate_json(request.body)
        subscribing.add_push(request.user, browser.endpoint, browser.keys, browser.name)
    except ValidationError:
        return JsonResponse({"error": "That makes no sense."}, status=422)
    except StereoSpotError as error:
        return JsonResponse({"error": error.message}, status=422)
    return JsonResponse({}, status=201)


@require_POST
@login_required
def forget_browser(request: AuthenticatedRequest, browser_id: int) -> HttpResponse:
    browser = get_object_or_404(subscribing.push_of(request.user), pk=browser_id)
    ledger.unsubscribe(browser.pk)
    notices.success(request, "That browser is told nothing more.")
    return SeeOther(reverse("account") + "#notifications")


@require_safe
@cache_control(no_cache=True)
def service_worker(request: AuthenticatedRequest) -> HttpResponse:
    """At the top, for it may serve only what lies beneath its own address."""
    return render(request, "jobs/worker.js", content_type="text/javascript")


def _own(user: User) -> str:
    return f"account {user.pk}"


def _is_guessing(request: AuthenticatedRequest) -> bool:
    """Whoever has the session may not be the person: then no password is looked at."""
    try:
        limits.count(DEVICE, _own(request.user))
    except TooManyRequestsError as error:
        notices.error(request, f"{error} The password was not looked at.")
        return True
    return False


def _page(
    request: AuthenticatedRequest,
    *,
    password_form: PasswordForm | None = None,
    elsewhere_form: ElsewhereForm | None = None,
    status: int = 200,
) -> HttpResponse:
    user = request.user
    mail = Subscription.objects.filter(owner=user, channel=Subscription.Channel.MAIL)
    context = {
        "quota": ledger.quota_of(user),
        "password_form": password_form or PasswordForm(user),
        "elsewhere_form": elsewhere_form or ElsewhereForm(),
        "sends_mail": bool(settings.EMAIL_HOST),
        "mail": mail.first(),
        "push_key": push.public_key(),
        "browsers": subscribing.push_of(user),
    }
    return render(request, "jobs/account.html", context, status=status)
