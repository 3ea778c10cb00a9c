"""How HTTP says an error, on pages and in the API alike."""

from __future__ import annotations

from http import HTTPStatus
from typing import TypeVar

from django.http import HttpResponse

from apps.jobs.limits import TooManyRequestsError
from contract.errors import Blame, ErrorCode, StereoSpotError

STATUSES = {
    ErrorCode.BAD_REQUEST: HTTPStatus.BAD_REQUEST,
    ErrorCode.UNAUTHENTICATED: HTTPStatus.UNAUTHORIZED,
    ErrorCode.UNAUTHORIZED: HTTPStatus.FORBIDDEN,
    ErrorCode.TOO_MANY_FILMS: HTTPStatus.FORBIDDEN,
    ErrorCode.MINUTES_USED_UP: HTTPStatus.FORBIDDEN,
    ErrorCode.NOT_FOUND: HTTPStatus.NOT_FOUND,
    ErrorCode.METHOD_NOT_ALLOWED: HTTPStatus.METHOD_NOT_ALLOWED,
    ErrorCode.WRONG_STATE: HTTPStatus.CONFLICT,
    ErrorCode.UPLOAD_INCOMPLETE: HTTPStatus.CONFLICT,
    ErrorCode.UPLOAD_OVER: HTTPStatus.CONFLICT,
    ErrorCode.TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    ErrorCode.TOO_MANY_REQUESTS: HTTPStatus.TOO_MANY_REQUESTS,
    ErrorCode.DISK_FULL: HTTPStatus.INSUFFICIENT_STORAGE,
}
_BY_BLAME = {
    Blame.USER: HTTPStatus.UNPROCESSABLE_ENTITY,
    Blame.OPERATOR: HTTPStatus.SERVICE_UNAVAILABLE,
    Blame.TRANSIENT: HTTPStatus.SERVICE_UNAVAILABLE,
    Blame.OURS: HTTPStatus.INTERNAL_SERVER_ERROR,
}


def status_of(code: ErrorCode) -> HTTPStatus:
    return STATUSES.get(code, _BY_BLAME[code.blame])


Response = TypeVar("Response", bound=HttpResponse)


def with_pause(response: Response, error: StereoSpotError) -> Response:
    """The same answer, which also says how long to wait, where that is known."""
    if isinstance(error, TooManyRequestsError):
        response["Retry-After"] = str(error.retry_after)
    return response
