"""One frame of a film in 3D before the film is uploaded; nothing of it is kept.

The frame comes as numbers where the browser can decode the film, else as the film's
beginning, which is decoded in the sandbox. It comes once: the answer names it, and a
moved slider asks for the same frame by that name.
"""

from __future__ import annotations

import hashlib
from http import HTTPStatus
from typing import Literal

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_POST
from pydantic import Field, ValidationError

from apps.jobs import limits, storage
from apps.pipeline import previews
from apps.pipeline.media.sandbox import Allowance, Sandbox
from apps.pipeline.media.still import write_still
from apps.pipeline.previews import Pixels, Question
from contract.errors import StereoSpotError
from contract.modes import Payload, StereoMode, StereoSettings

MOST_BYTES = 16 << 20
"""Of a film's beginning; a frame as numbers has 2.8 MB at most."""
ALLOWANCE = Allowance(memory=4 << 30, seconds=20, file_size=4 << 20)
FRAMES = limits.Limit("preview-frame", free=30, leak=2, pause=2, longest=2)
MOVES = limits.Limit("preview-move", free=120, leak=0.25, pause=1, longest=1)
_VIEWS = {"anaglyph": StereoMode.ANAGLYPH, "pair": StereoMode.SBS}


class Asked(Payload):
    """The query: what to show, and what the body is."""

    mode: StereoMode
    max_disparity: float = Field(ge=0, le=10)
    convergence: float = Field(ge=0, le=1)
    view: Literal["packed", "anaglyph", "pair"] = "packed"
    frame: str = Field(default="", pattern=r"^([0-9a-f]{64})?$")
    """As an answer named it; then there is no body."""
    width: int = 0
    height: int = 0
    """Of the numbers in the body; 0: it is the beginning of a film."""

    def question(self, person: object, frame: str, pixels: Pixels | None) -> Question:
        # By person: nobody sees what another one has shown.
        return Question(
            name=f"{person} {frame}",
            mode=_VIEWS.get(self.view, self.mode),
            settings=StereoSettings(
                max_disparity=self.max_disparity, convergence=self.convergence
            ),
            pixels=pixels,
        )


@require_POST
def preview(request: HttpRequest) -> HttpResponse:
    """A JPEG, and in `Preview-Frame` the frame's name; 204: send the frame again."""
    if not request.user.is_authenticated:
        return _told("Sign in again, in another tab.", HTTPStatus.UNAUTHORIZED)
    if not previews.are_possible():
        return _told("This site makes no previews.", HTTPStatus.NOT_FOUND)
    if int(request.headers.get("Content-Length") or 0) > MOST_BYTES:
        message = "A preview takes the first 16 MB of a film and no more."
        return _told(message, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    try:
        asked = Asked.model_validate(request.GET.dict())
        limits.count(MOVES if asked.frame else FRAMES, request.user.pk)
        # Before a seat is taken: who sends slowly keeps nobody waiting.
        body = b"" if asked.frame else request.read(MOST_BYTES)
        with previews.desk.seat():
            return _shown(request.user.pk, asked, body)
    except ValidationError:
        return _told("The preview was asked for wrongly.", HTTPStatus.BAD_REQUEST)
    except (limits.TooManyRequestsError, previews.BusyError):
        answer = _told(
            "Previews are busy: one comes soon.", HTTPStatus.TOO_MANY_REQUESTS
        )
        answer["Retry-After"] = "2"
        return answer
    except StereoSpotError as error:
        return _told(error.message, HTTPStatus.UNPROCESSABLE_ENTITY)


def _shown(person: object, asked: Asked, body: bytes) -> HttpResponse:
    name, pixels = asked.frame, None
    if not name:
        name, pixels = _received(asked, body)
    picture = previews.desk.picture(asked.question(person, name, pixels))
    if picture is None:
        return HttpResponse(status=HTTPStatus.NO_CONTENT)
    answer = HttpResponse(picture, content_type="image/jpeg")
    answer["Preview-Frame"] = name
    answer["Cache-Control"] = "no-store"
    return answer


def _received(asked: Asked, body: bytes) -> tuple[str, Pixels]:
    pixels = (
        Pixels(asked.width, asked.height, body)
        if asked.width or asked.height
        else _decoded(body)
    )
    pixels.check()
    return hashlib.sha256(body).hexdigest(), pixels


def _decoded(beginning: bytes) -> Pixels:
    with storage.temporary_dir() as folder:
        source, target = folder / "beginning", folder / "frame"
        source.write_bytes(beginning)
        shape = Sandbox(ALLOWANCE).call(
            write_still, source, target, previews.LARGEST_SIDE
        )
        return Pixels(shape.width, shape.height, target.read_bytes())


def _told(sentence: str, status: HTTPStatus) -> HttpResponse:
    return HttpResponse(
        sentence, status=status, content_type="text/plain; charset=utf-8"
    )
