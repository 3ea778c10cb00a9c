"""Who asks: whoever shows a personal token, and nobody else.

No session cookie counts here, so no page of a stranger's can make a browser ask for
something, and there is no CSRF to guard against.
"""

from __future__ import annotations

from uuid import UUID

from django.contrib.auth.models import User
from django.http import HttpRequest
from ninja.security import HttpBearer

from apps.jobs import tokens
from apps.jobs.models import Job
from apps.jobs.views.access import visible_job


class TokenRequest(HttpRequest):
    auth: User


class PersonalToken(HttpBearer):
    def authenticate(self, request: HttpRequest, token: str) -> User | None:
        owner = tokens.owner_of(token.strip())
        if owner is not None:
            request.user = owner  # for the log
        return owner


def asked_job(request: TokenRequest, job_id: UUID) -> Job:
    """Raises `Http404` also for what is another person's, unless staff asks."""
    return visible_job(request.auth, job_id)
