"""What a message was, read from its text, which anybody may have written.

As our producers write it: an envelope in JSON (kombu's) around Celery's three parts,
arguments, keyword arguments and what belongs to the canvas.
"""

from __future__ import annotations

import base64
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal
from uuid import UUID

from celery.app.task import Context
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter
from pydantic_core import from_json

from contract.keys import MAX_SEGMENTS
from stereospot.celery import app

# No longer than what Celery's table of results has room for; it cannot hold a null.
Name = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,255}$")]

_LONGEST_QUOTE = 100
"""Characters of a strange name that are repeated to people."""


class _Headers(BaseModel):
    model_config = ConfigDict(extra="allow")

    task: Name
    id: Name


class _Properties(BaseModel):
    body_encoding: Literal["base64", "utf-8"]


class _Envelope(BaseModel):
    headers: _Headers
    properties: _Properties
    content_type: Literal["application/json"] = Field(alias="content-type")
    body: str


_PARTS = TypeAdapter(tuple[list[Any], dict[str, Any], dict[str, Any]])


@dataclass(frozen=True, slots=True)
class Letter:
    """The facts of a message; empty where it does not say."""

    fault: str = ""
    """Why no worker can do what it asks for; empty if one can."""
    task: str = ""
    task_id: str = ""
    job_id: UUID | None = None
    """That it names, whether there is such a job or not."""
    segment_index: int | None = None
    request: Context | None = None
    """For the result backend: of which chord it is a part, who wants to hear of it."""


def read(text: str) -> Letter:
    """Never raises: what cannot be read is said to be so."""
    try:
        content = from_json(text)
    except ValueError:
        return Letter(fault="not JSON")
    try:
        envelope = _Envelope.model_validate(content)
        body = envelope.body
        if envelope.properties.body_encoding == "base64":
            body = base64.b64decode(body, validate=True).decode()
        args, kwargs, canvas = _PARTS.validate_json(body)
    except ValueError:
        return Letter(fault="no Celery message")
    headers = envelope.headers
    facts = {**headers.model_dump(), **canvas, "args": args, "kwargs": kwargs}
    facts["delivery_info"] = {}  # Celery asks it whether to call errbacks in place
    job_id = _job_id(args)
    return Letter(
        fault=_fault(headers.task, args, kwargs),
        task=headers.task,
        task_id=headers.id,
        job_id=job_id,
        segment_index=_segment_index(args) if job_id else None,
        request=Context(facts),
    )


@functools.cache
def _tasks() -> Mapping[str, Any]:
    """Ours by name: only workers have them from the start."""
    app.loader.import_default_modules()
    return app.tasks


def _fault(name: str, args: list[Any], kwargs: dict[str, Any]) -> str:
    task = _tasks().get(name)
    if task is None:
        return f"unknown task '{name[:_LONGEST_QUOTE]}'"
    try:
        task.__header__(*args, **kwargs)
    except TypeError:
        return "arguments that the task does not take"
    return ""


def _job_id(args: list[Any]) -> UUID | None:
    """The first argument, if it is an id as we write them, and nothing like it."""
    if not args or not isinstance(args[0], str):
        return None
    try:
        job_id = UUID(args[0])
    except ValueError:
        return None
    return job_id if str(job_id) == args[0] else None


def _segment_index(args: list[Any]) -> int | None:
    if len(args) < 2 or type(args[1]) is not int:  # True is an int, but no index
        return None
    return args[1] if 0 <= args[1] < MAX_SEGMENTS else None
