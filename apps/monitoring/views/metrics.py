"""`/metrics`, for a Prometheus with the token, and for staff."""

from __future__ import annotations

import hmac

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST

from apps.monitoring import figures


@require_safe
@never_cache
def show(request: HttpRequest) -> HttpResponse:
    if not _may_read(request):
        challenge = {"WWW-Authenticate": "Bearer"}
        return HttpResponse("The token, or staff.\n", status=401, headers=challenge)
    return HttpResponse(figures.text(), content_type=CONTENT_TYPE_LATEST)


def _may_read(request: HttpRequest) -> bool:
    token = settings.METRICS_TOKEN
    if token is not None:
        expected = f"Bearer {token.get_secret_value()}".encode()
        given = request.headers.get("Authorization", "").encode()
        if hmac.compare_digest(given, expected):
            return True
    return bool(getattr(request.user, "is_staff", False))
