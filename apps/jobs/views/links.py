"""Links to finished films for players, which have no cookie: whoever has one may watch.

A link names one film and the person it was made for, and opens what that person may see
at that moment: nothing once the film is deleted, or the account disabled or given another
password. It cannot be guessed or changed, and ends by itself.
"""

from __future__ import annotations

from uuid import UUID

from django.contrib.auth.models import User
from django.core import signing
from django.http import Http404, HttpRequest, HttpResponseBase
from django.urls import reverse
from django.utils.crypto import constant_time_compare
from django.views.decorators.http import require_safe

from apps.jobs.models import Job
from apps.jobs.names import download_name
from apps.jobs.views.access import visible_job
from apps.jobs.views.media import serve_final

LINK_SECONDS = 6 * 3600
"""A long film with a long pause: a player asks for the rest with the same link."""
_SALT = "apps.jobs.views.links"


def link(request: HttpRequest, user: User, job: Job) -> str:
    """An address of the final that needs no cookie, ending in the name players know."""
    token = signing.dumps([job.pk.hex, user.pk, _password_mark(user)], salt=_SALT)
    path = reverse("film", args=[token, download_name(job)])
    return request.build_absolute_uri(path)


@require_safe
def film(request: HttpRequest, token: str, name: str) -> HttpResponseBase:
    """The name is for the player; what counts is the token."""
    try:
        job_id, user_id, mark = signing.loads(token, salt=_SALT, max_age=LINK_SECONDS)
    except signing.BadSignature as error:
        raise Http404("expired or never made") from error
    user = User.objects.filter(pk=user_id, is_active=True).first()
    if user is None or not constant_time_compare(mark, _password_mark(user)):
        raise Http404("made for nobody who may still watch")
    job = visible_job(user, UUID(job_id))
    return serve_final(request, job, seconds=LINK_SECONDS)


def _password_mark(user: User) -> str:
    """Changes with the password, and tells nothing about it."""
    return user.get_session_auth_hash()[:16]
