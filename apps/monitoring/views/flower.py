"""Flower at an address of the site's, for its staff; the site alone knows the password."""

from __future__ import annotations

import functools
import hashlib
from base64 import b64encode
from urllib.parse import quote, urlsplit

import httpx2
from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from apps.jobs.middleware import HEADER

MOST_SECONDS = 15.0
"""Flower asks the workers first, and waits a second for each kind of answer."""
ASKED_WITH = ("Accept", "Content-Type", "If-None-Match", "X-Requested-With")
ANSWERED_WITH = ("Content-Type", "ETag", "Location", "Cache-Control")
SAFE = ("GET", "HEAD")

_SCRIPT = "\nvar autorefresh = 1;\n"
"""The one that Flower's list of workers has in the page."""


def _hash(script: str) -> str:
    return f"'sha256-{b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


POLICY = "; ".join(
    (
        "default-src 'none'",
        f"script-src 'self' {_hash(_SCRIPT)}",
        "style-src 'self'",
        "img-src 'self' data:",  # Bootstrap's arrows
        "font-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
"""What a browser may load for Flower's pages; no more than the site's own but for these."""


# Flower knows nothing of Django's tokens: see `_is_from_here`.
@csrf_exempt
@login_required
def show(request: HttpRequest, page: str = "") -> HttpResponse:
    """Hand the request on to Flower, and its answer back."""
    if not settings.FLOWER_URL or not getattr(request.user, "is_staff", False):
        raise Http404
    if request.method not in SAFE and not _is_from_here(request):
        return HttpResponse("Only Flower’s own pages may do that.", status=403)
    try:
        answer = _client().request(
            str(request.method),
            _address(request),
            content=request.body,
            headers={
                name: value
                for name in ASKED_WITH
                if (value := request.headers.get(name)) is not None
            },
        )
    except httpx2.TransportError:
        text = "Flower does not answer. The workers go on without it."
        return HttpResponse(text, status=502, content_type="text/plain")
    handed = HttpResponse(answer.content, status=answer.status_code)
    for name in ANSWERED_WITH:
        if name in answer.headers:
            handed.headers[name] = answer.headers[name]
    handed.headers[HEADER] = POLICY
    return handed


def _address(request: HttpRequest) -> str:
    query = request.META["QUERY_STRING"]
    path = f"{settings.FLOWER_URL}{quote(request.path, safe='/@:')}"
    return f"{path}?{query}" if query else path


def _is_from_here(request: HttpRequest) -> bool:
    """Whether a page of this site sent it, by what the browser itself says of that."""
    if site := request.headers.get("Sec-Fetch-Site"):
        return site == "same-origin"
    return urlsplit(request.headers.get("Origin", "")).netloc == request.get_host()


@functools.cache
def _client() -> httpx2.Client:
    login = settings.FLOWER_BASIC_AUTH
    user, _, password = login.get_secret_value().partition(":") if login else ("",) * 3
    return httpx2.Client(auth=(user, password), timeout=MOST_SECONDS, trust_env=False)
