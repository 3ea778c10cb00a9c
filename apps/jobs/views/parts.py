"""What a page asks while it sends a film: what is missing, where to, that it is done.

JSON in both directions of `apps.jobs.uploads`; an error has a code and a sentence.
"""

from __future__ import annotations

import contextlib
import functools
from collections import Counter
from collections.abc import Callable, Iterator
from threading import Lock
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse, JsonResponse, UnreadablePostError
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import (
    require_http_methods,
    require_POST,
    require_safe,
)

from apps.jobs import uploads
from apps.jobs.limits import TooManyRequestsError
from apps.jobs.models import Upload
from apps.jobs.statuses import status_of, with_pause
from apps.jobs.views.access import AuthenticatedRequest, visible_job
from contract.errors import ErrorCode, StereoSpotError

MOST_PARTS, MOST_PARTS_OF_ONE = 6, 4
"""At once in a process of the site, and of one person; a page sends four."""
AGAIN_SECONDS = 2
"""When to send a part again that found no place."""
_arriving: Counter[int] = Counter()
"""Parts that are on their way now, by their owner's key."""
_lock = Lock()

View = Callable[..., HttpResponse]


def says_errors(view: View) -> View:
    @functools.wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except StereoSpotError as error:
            told = {"code": error.code, "message": error.message}
            answer = JsonResponse(told, status=status_of(error.code))
            return with_pause(answer, error)

    return wrapped


def for_people(view: View) -> View:
    """Who is not signed in is told so; a redirect would end in a page, not an answer."""

    @functools.wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not request.user.is_authenticated:
            message = "You are signed out: sign in in another tab, then resume."
            told = {"code": ErrorCode.UNAUTHORIZED, "message": message}
            return JsonResponse(told, status=401)
        return view(request, *args, **kwargs)

    return says_errors(wrapped)


def described(upload: Upload) -> dict[str, object]:
    """What a sender has to know of an upload."""
    return {
        "kind": upload.kind,
        "name": upload.name,
        "size": upload.size,
        "modified": upload.modified,
        "part_bytes": upload.part_bytes,
        "missing": uploads.missing_parts(upload),
    }


@require_safe
@for_people
def upload_state(
    request: AuthenticatedRequest, job_id: UUID, kind: str
) -> HttpResponse:
    return JsonResponse(described(_unfinished(request, job_id, kind)))


@require_POST
@for_people
def sign_part(
    request: AuthenticatedRequest, job_id: UUID, kind: str, number: int
) -> HttpResponse:
    url = uploads.sign_part(_unfinished(request, job_id, kind), number)
    return JsonResponse({"url": url})


@require_POST
@for_people
def complete(request: AuthenticatedRequest, job_id: UUID, kind: str) -> HttpResponse:
    """Also for who asks again because the first answer was lost."""
    job = visible_job(request.user, job_id)
    if not job.uploads.filter(kind=kind, arrived_at__isnull=False).exists():
        uploads.complete(uploads.unfinished(job, kind))
    answer = {"url": job.get_absolute_url(), "waits_for": uploads.waiting_for(job)}
    return JsonResponse(answer)


@require_POST
@for_people
def abandon(request: AuthenticatedRequest, job_id: UUID) -> HttpResponse:
    uploads.abandon(visible_job(request.user, job_id))
    return HttpResponse(status=204)


@csrf_exempt  # the address itself is the proof, and it is good for nothing else
@require_http_methods(["PUT"])
@says_errors
def upload_part(request: HttpRequest, token: str) -> HttpResponse:
    """The other end of a signed address, where the store is our own disk."""
    upload, number = uploads.signed_part(token)
    length = upload.length_of(number)
    if request.headers.get("Content-Length") != str(length):
        raise StereoSpotError(
            ErrorCode.BAD_REQUEST, f"Part {number} has {length} bytes: send just these."
        )
    try:
        with _place(upload):
            uploads.receive(upload, number, request.read)
    except UnreadablePostError as error:
        message = f"Part {number} broke off: send it again."
        raise StereoSpotError(ErrorCode.UPLOAD_INCOMPLETE, message) from error
    return HttpResponse(headers={"ETag": f'"{number}-{length}"'})


def _unfinished(request: AuthenticatedRequest, job_id: UUID, kind: str) -> Upload:
    return uploads.unfinished(visible_job(request.user, job_id), kind)


@contextlib.contextmanager
def _place(upload: Upload) -> Iterator[None]:
    """For one part: each that is on its way has a thread, and pages need some, too."""
    owner = upload.job.owner_id
    with _lock:
        if _arriving.total() >= MOST_PARTS or _arriving[owner] >= MOST_PARTS_OF_ONE:
            raise TooManyRequestsError(
                AGAIN_SECONDS,
                "Too many parts are on their way: send this one again in a moment.",
            )
        _arriving[owner] += 1
    try:
        yield
    finally:
        with _lock:
            _arriving[owner] -= 1
            if not _arriving[owner]:
                del _arriving[owner]
