"""What an answer says, whichever way it came."""

from __future__ import annotations

import json
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from contract.errors import ErrorCode, StereoSpotError
from contract.invocation import Completed, Failed

MOST_SHOWN = 300
"""Characters of a text that nobody here has written."""

_ANSWER: TypeAdapter[Completed | Failed] = TypeAdapter(
    Annotated[Completed | Failed, Field(discriminator="status")]
)


def read(text: str | bytes) -> Completed | Failed | None:
    """The answer of an inference server, or None when the text is none."""
    try:
        return _ANSWER.validate_json(text)
    except ValidationError:
        return None


def quoted(text: str) -> Completed | Failed | None:
    """The answer that another text quotes, as SageMaker's failure objects do."""
    begin, end = text.find("{"), text.rfind("}") + 1
    inner = text[begin:end] if 0 <= begin < end else ""
    if answer := read(inner):
        return answer
    try:
        return read(str(json.loads(f'"{inner}"')))
    except ValueError:  # it was not escaped either
        return None


def failure(text: str) -> Failed:
    """What a text says that tells of a failure: the quoted answer, or its own words."""
    answer = quoted(text)
    if isinstance(answer, Failed):
        return answer
    shown = " ".join(text.split())[:MOST_SHOWN] or "nothing more is known"
    return Failed(code=ErrorCode.CRASHED, message=f"The inference failed: {shown}")


def completed(answer: Completed | Failed) -> Completed:
    """Raises `StereoSpotError` for a failure."""
    if isinstance(answer, Failed):
        raise StereoSpotError(answer.code, answer.message)
    return answer


def is_refusal(answer: Completed | Failed) -> bool:
    """Nothing was begun, or nothing is left of it: to be asked again, and no failure."""
    return isinstance(answer, Failed) and answer.code in (
        ErrorCode.BUSY,
        ErrorCode.STOPPING,
    )
