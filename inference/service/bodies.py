"""What callers send → what they ask for, or a sentence about what is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from contract.errors import ErrorCode, StereoSpotError
from contract.generation import Generation
from contract.invocation import Enquiry, Invocation

LARGEST_BODY = 8 * 2**20
"""Bytes. The manifests of ten minutes at 120 frames a second take a fifth of it."""
_TOLD = 3
"""Faults that a sentence names."""


_KINDS: Mapping[object, type[Invocation | Generation | Enquiry]] = {
    "generate": Generation,
    "look": Enquiry,
    "cancel": Enquiry,
}
"""By `task`; without one it is a conversion."""


def asked_in(body: bytes) -> Invocation | Generation | Enquiry:
    """StereoSpotError: BAD_REQUEST."""
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise bad_request(f"The body is no JSON: {error}.") from error
    if not isinstance(fields, dict):
        raise bad_request("The body must be a JSON object.")
    task = fields.get("task")
    kind = _KINDS.get(task, Invocation) if isinstance(task, str) else Invocation
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        raise bad_request(_sentence(error.errors(include_url=False))) from error


def bad_request(message: str) -> StereoSpotError:
    return StereoSpotError(ErrorCode.BAD_REQUEST, message)


def _sentence(faults: Iterable[ErrorDetails]) -> str:
    told = []
    for fault in faults:
        where = ".".join(str(part) for part in fault["loc"]) or "the body"
        told.append(f"{where}: {fault['msg']}")
    more = len(told) - _TOLD
    tail = f"; and {more} more" if more > 0 else ""
    return f"The body cannot be used. {'; '.join(told[:_TOLD])}{tail}."
