"""How long a request's body may take: gunicorn waits for it as long as the line is open.

Every request with a body has a thread to itself until the body is read, which Django does
before it knows who sends it. A line on which nothing comes for `SILENCE_SECONDS` is lost;
one that drips has until its deadline.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from http import HTTPStatus
from socket import socket
from threading import Timer

from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.urls import Resolver404, resolve

SILENCE_SECONDS = 30
FORM_SECONDS = 30
LONGER_SECONDS = {"upload-part": 600, "preview": 120}
"""By the name of the address, where bodies are large: a part has 16 MB or more."""


class Deadlines:
    """Middleware. In front of all that reads a body."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        line = request.META.get("gunicorn.socket")
        if line is None or not _has_body(request):
            return self._get_response(request)
        with _bounded(line, _seconds(request)):
            return self._get_response(request)

    def process_exception(
        self, request: HttpRequest, error: Exception
    ) -> HttpResponse | None:
        """A lost line is no mistake of ours."""
        if isinstance(error, UnreadablePostError):
            return HttpResponse(status=HTTPStatus.REQUEST_TIMEOUT)
        return None


def _has_body(request: HttpRequest) -> bool:
    length = request.META.get("CONTENT_LENGTH") or "0"
    return length != "0" or "HTTP_TRANSFER_ENCODING" in request.META


def _seconds(request: HttpRequest) -> float:
    with contextlib.suppress(Resolver404):
        name = resolve(request.path_info).url_name or ""
        return LONGER_SECONDS.get(name, FORM_SECONDS)
    return FORM_SECONDS


@contextlib.contextmanager
def _bounded(line: socket, seconds: float) -> Iterator[None]:
    """After `seconds` whoever reads gets what has come already, and then an error."""
    line.settimeout(SILENCE_SECONDS)
    deadline = Timer(seconds, line.settimeout, [0.0])
    deadline.daemon = True
    deadline.start()
    try:
        yield
    finally:
        deadline.cancel()
        deadline.join()  # or it could still be about to change the line
        line.settimeout(None)
