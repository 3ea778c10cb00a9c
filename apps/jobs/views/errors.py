"""Errors that have no page of their own: what happened, by its name, and who must act."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus

import structlog
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from apps.jobs.statuses import status_of, with_pause
from contract.errors import Blame, StereoSpotError

log = structlog.get_logger(__name__)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    if isinstance(exception, RequestDataTooBig):
        status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        return render(request, "413.html", status=status)
    return render(request, "400.html", status=HTTPStatus.BAD_REQUEST)


class SaidErrors:
    """Middleware: an error with words for people is a page that has them, wherever a view
    has no better place for it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self._get_response(request)

    def process_exception(
        self, request: HttpRequest, error: Exception
    ) -> HttpResponse | None:
        if not isinstance(error, StereoSpotError):
            return None
        if error.code.blame is not Blame.USER:
            log.error("page not shown", code=error.code, reason=error.message)
        status = status_of(error.code)
        page = render(request, "error.html", {"error": error}, status=status)
        return with_pause(page, error)
