"""What goes wrong, in one shape: RFC 9457, with our stable code and who must act."""

from __future__ import annotations

from typing import Any, Literal, cast

import structlog
from django.core.exceptions import RequestDataTooBig
from django.http import Http404, HttpRequest, HttpResponse, UnreadablePostError
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, ValidationError
from pydantic import Field

from apps.jobs.statuses import status_of, with_pause
from contract.errors import Blame, ErrorCode, StereoSpotError
from contract.modes import Payload

log = structlog.get_logger(__name__)

CONTENT_TYPE = "application/problem+json"
NO_FILM = "The job is not completed: there is no film yet."


class FieldProblem(Payload):
    """One field that was not accepted."""

    field: str
    """Where it stands: `body.settings.max_disparity`."""
    message: str


class Problem(Payload):
    """RFC 9457. `type` is always `about:blank`: what a problem is says its `code`."""

    type: Literal["about:blank"] = "about:blank"
    title: str
    """The status in words."""
    status: int
    detail: str
    """One sentence for people."""
    code: ErrorCode
    """Stable; see docs/api.md."""
    who_must_act: Blame
    errors: list[FieldProblem] = Field(default=[])
    """The fields, where fields were not accepted."""


def answers(status: int, shape: Any, *refusals: int) -> dict[int, Any]:
    """What an operation may answer, for the document: each may refuse the token."""
    return {status: shape, **dict.fromkeys((401, *refusals), Problem)}


def problem(
    code: ErrorCode, detail: str, *, errors: list[FieldProblem] | None = None
) -> HttpResponse:
    status = status_of(code)
    body = Problem(
        title=status.phrase,
        status=status,
        detail=detail,
        code=code,
        who_must_act=code.blame,
        errors=errors or [],
    )
    response = HttpResponse(
        body.model_dump_json(), status=status, content_type=CONTENT_TYPE
    )
    if code is ErrorCode.UNAUTHENTICATED:
        response["WWW-Authenticate"] = "Bearer"
    return response


def wrong_state(detail: str) -> StereoSpotError:
    """The job is not where what was asked for makes sense."""
    return StereoSpotError(ErrorCode.WRONG_STATE, detail)


def handle(api: NinjaAPI) -> None:
    """Answer every error of `api` as a problem."""
    api.add_exception_handler(Http404, _not_found)
    api.add_exception_handler(AuthenticationError, _unauthenticated)
    api.add_exception_handler(ValidationError, _invalid)
    api.add_exception_handler(HttpError, _unreadable)
    api.add_exception_handler(RequestDataTooBig, _too_large)
    api.add_exception_handler(UnreadablePostError, _broke_off)
    api.add_exception_handler(StereoSpotError, _said)
    api.add_exception_handler(Exception, _ours)


def _not_found(request: HttpRequest, error: object) -> HttpResponse:
    return problem(ErrorCode.NOT_FOUND, "There is nothing here that you may see.")


def _unauthenticated(request: HttpRequest, error: object) -> HttpResponse:
    return problem(
        ErrorCode.UNAUTHENTICATED,
        "Send a token that is valid: Authorization: Bearer stereospot_…",
    )


def _invalid(request: HttpRequest, error: object) -> HttpResponse:
    found: list[dict[str, Any]] = getattr(error, "errors", [])
    errors = [
        FieldProblem(field=".".join(map(str, each["loc"])), message=each["msg"])
        for each in found
    ]
    fields = ", ".join(each.field for each in errors)
    return problem(ErrorCode.INVALID_INPUT, f"Not accepted: {fields}.", errors=errors)


def _unreadable(request: HttpRequest, error: object) -> HttpResponse:
    """The body is no JSON."""
    return problem(ErrorCode.INVALID_INPUT, f"{error}.")


def _too_large(request: HttpRequest, error: object) -> HttpResponse:
    return problem(ErrorCode.TOO_LARGE, "The request has more bytes than are taken.")


def _broke_off(request: HttpRequest, error: object) -> HttpResponse:
    """The line is lost, or its time is over; the middleware does not see it from here."""
    return problem(ErrorCode.INVALID_INPUT, "The request broke off: send it again.")


def _said(request: HttpRequest, error: object) -> HttpResponse:
    said = cast(StereoSpotError, error)
    return with_pause(problem(said.code, said.message), said)


def _ours(request: HttpRequest, error: object) -> HttpResponse:
    log.error("request failed", exc_info=cast(Exception, error))
    return problem(ErrorCode.INTERNAL, "Something went wrong here: report it to us.")
