"""Signing in, at a pace at which nobody guesses a password.

Tries are counted before the password is looked at, and taken back when it was right. A
person's own browser is known by a signed cookie and has a count of its own: whatever
strangers try with their name, from wherever, they themselves get in. All others are
counted together by name, by address, and by both.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView, redirect_to_login
from django.core import signing
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import resolve_url

from apps.jobs import limits
from apps.jobs.addresses import network_of
from apps.jobs.limits import Limit, TooManyRequestsError

BOTH = Limit("sign-in", free=5, leak=900, pause=5, longest=900)
ADDRESS = Limit("sign-in-address", free=30, leak=120, pause=5, longest=900)
NAME = Limit("sign-in-name", free=100, leak=600, pause=5, longest=60)
"""Of many addresses together. Its pauses are short: somebody may be on a new device."""
DEVICE = Limit("sign-in-device", free=5, leak=900, pause=5, longest=900)

COOKIE = "known-device"
COOKIE_SECONDS = 365 * 24 * 3600
SALT = "apps.jobs.known-device"


@dataclass(frozen=True, slots=True)
class Try:
    """One try to sign in, and what it is counted by."""

    counts: tuple[tuple[Limit, object], ...]

    @classmethod
    def of(cls, request: HttpRequest, name: str) -> Try:
        device = _known_device(request, name)
        if device:
            return cls(((DEVICE, device),))
        address = network_of(request)
        return cls(((BOTH, (name, address)), (ADDRESS, address), (NAME, name)))

    def count(self) -> None:
        """Raises `TooManyRequestsError`, and then has counted nothing."""
        counted: list[tuple[Limit, object]] = []
        try:
            for limit, whom in self.counts:
                limits.count(limit, whom)
                counted.append((limit, whom))
        except TooManyRequestsError:
            for limit, whom in counted:
                limits.withdraw(limit, whom)
            raise

    def succeed(self) -> None:
        (first, whom), *others = self.counts
        limits.forget(first, whom)
        for limit, who in others:
            limits.withdraw(limit, who)


class SignInForm(AuthenticationForm):
    error_messages = {
        **AuthenticationForm.error_messages,
        "invalid_login": "That name and password do not go together. "
        "Mind upper and lower case.",
    }
    retry_after: int | None = None

    def clean(self) -> dict[str, Any]:
        name = self.cleaned_data.get("username")
        if not name or not self.cleaned_data.get("password") or not self.request:
            return self.cleaned_data
        attempt = Try.of(self.request, name)
        try:
            attempt.count()
        except TooManyRequestsError as error:
            self.retry_after = error.retry_after
            raise ValidationError(f"{error} The password was not looked at.") from error
        cleaned = super().clean()
        attempt.succeed()
        return cleaned


class SignIn(LoginView):
    authentication_form = SignInForm

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        response = super().form_valid(form)
        name = form.get_user().get_username()
        device = signing.dumps([name, secrets.token_urlsafe(12)], salt=SALT)
        response.set_cookie(
            COOKIE,
            device,
            max_age=COOKIE_SECONDS,
            path=resolve_url(settings.LOGIN_URL),
            secure=settings.SESSION_COOKIE_SECURE,
            httponly=True,
            samesite="Lax",
        )
        return response

    def form_invalid(self, form: AuthenticationForm) -> HttpResponse:
        response = super().form_invalid(form)
        if isinstance(form, SignInForm) and form.retry_after is not None:
            response.status_code = 429
            response.headers["Retry-After"] = str(form.retry_after)
        return response


def sign_in_to_admin(
    request: HttpRequest, extra_context: object = None
) -> HttpResponse:
    """The admin has no sign-in of its own, which would have no limits."""
    if request.user.is_authenticated and not request.user.is_staff:
        raise PermissionDenied
    return redirect_to_login(request.GET.get("next") or resolve_url("admin:index"))


def _known_device(request: HttpRequest, name: str) -> str | None:
    """The cookie of a browser in which this person has signed in before."""
    cookie = request.COOKIES.get(COOKIE, "")
    try:
        owner, device = signing.loads(cookie, salt=SALT, max_age=COOKIE_SECONDS)
    except (signing.BadSignature, ValueError, TypeError):
        return None
    return f"{owner} {device}" if owner == name else None
