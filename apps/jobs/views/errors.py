"""Errors that Django answers with one page for many reasons, by their own names."""

from __future__ import annotations

from http import HTTPStatus

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    if isinstance(exception, RequestDataTooBig):
        status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        return render(request, "413.html", status=status)
    return render(request, "400.html", status=HTTPStatus.BAD_REQUEST)
