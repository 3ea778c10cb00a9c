"""The whole API as one object, its OpenAPI document, and its addresses."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import URLPattern, re_path
from django.views.decorators.csrf import csrf_exempt
from ninja import NinjaAPI
from ninja.openapi.schema import OpenAPISchema
from ninja.operation import Operation

from apps.jobs.api import jobs, offers, playlists, uploads, webhooks
from apps.jobs.api.access import PersonalToken
from apps.jobs.api.problems import CONTENT_TYPE, handle, problem
from contract.errors import ErrorCode

ABOUT = """\
Turns ordinary 2D film into stereoscopic 3D. Every request shows a personal token
(`Authorization: Bearer stereospot_…`), made on the page “API”. Whatever is refused is
answered as RFC 9457 (`application/problem+json`) with a stable `code`."""


class Api(NinjaAPI):
    def get_openapi_schema(self, *args: Any, **kwargs: Any) -> OpenAPISchema:
        """As made from the types, with problems under their own media type."""
        schema = super().get_openapi_schema(*args, **kwargs)
        for path in schema["paths"].values():
            for operation in path.values():
                for status, answer in operation["responses"].items():
                    if int(status) >= 400 and "content" in answer:
                        content = answer["content"]
                        content[CONTENT_TYPE] = content.pop("application/json")
        return schema

    def get_openapi_operation_id(self, operation: Operation) -> str:
        """Short, for the names of functions in clients that are made from it."""
        return operation.view_func.__name__


api = Api(
    title="StereoSpot",
    version="1",
    description=ABOUT,
    urls_namespace="api",
    # No page of documentation: those that exist load scripts that our pages may not run.
    docs_url=None,
    auth=PersonalToken(),
)
handle(api)
api.add_router("/jobs", jobs.router)
api.add_router("/jobs", uploads.router)
api.add_router("", offers.router)
api.add_router("", playlists.router)
api.add_router("/webhooks", webhooks.router)


def patterns() -> list[URLPattern]:
    """Its addresses; what is none of them is answered as a problem, too."""
    known, _, _ = api.urls
    return [*map(_shaped, known), re_path(r"^", _nowhere)]


def _shaped(pattern: Any) -> Any:
    """With a problem for a method that the address does not know."""
    if pattern.name == "api-root":
        # Only the document needs it: paths begin there.
        pattern.callback = _nowhere
    else:
        pattern.callback = _not_allowed_as_problem(pattern.callback)
    return pattern


def _not_allowed_as_problem(
    view: Callable[..., HttpResponseBase],
) -> Callable[..., HttpResponseBase]:
    @functools.wraps(view)
    def shaped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        response = view(request, *args, **kwargs)
        if response.status_code != 405:
            return response
        allowed = response["Allow"]
        shaped = problem(ErrorCode.METHOD_NOT_ALLOWED, f"Here goes: {allowed}.")
        shaped["Allow"] = allowed
        return shaped

    return shaped


@csrf_exempt  # as all of the API: no cookie counts here
def _nowhere(request: HttpRequest) -> HttpResponse:
    return problem(ErrorCode.NOT_FOUND, "The API has no such address.")
