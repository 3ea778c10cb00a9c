"""`/healthz`: the process answers. Before everything else, as whoever asks knows no host."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

PATH = "/healthz"


def health(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    def middleware(request: HttpRequest) -> HttpResponse:
        if request.path == PATH:
            return HttpResponse("ok\n", content_type="text/plain")
        return get_response(request)

    return middleware
