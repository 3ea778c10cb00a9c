"""What an answer says, whichever way it came."""

from __future__ import annotations

import json
from typing import TypeAlias

from pydantic import TypeAdapter, ValidationError

from contract.errors import ErrorCode, StereoSpotError
from contract.generation import Generated
from contract.invocation import Completed, Failed

MOST_SHOWN = 300
"""Characters of a text that nobody here has written."""

Answer: TypeAlias = Completed | Generated | Failed
_ANSWER: TypeAdapter[Answer] = TypeAdapter(Answer)
"""They forbid fields that are not theirs, so none is taken for another one."""


def read(text: str | bytes) -> Answer | None:
    """The answer of an inference server, or None when the text is none."""
    try:
        return _ANSWER.validate_json(text)
    except ValidationError:
        return None


def quoted(text: str) -> Answer | None:
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


def completed(answer: Answer) -> Completed | Generated:
    """Raises `StereoSpotError` for a failure."""
    if isinstance(answer, Failed):
        raise StereoSpotError(answer.code, answer.message)
    return answer


def is_refusal(answer: Answer) -> bool:
    """Nothing was begun, or nothing is left of it: to be asked again, and no failure."""
    return isinstance(answer, Failed) and answer.code in (
        ErrorCode.BUSY,
        ErrorCode.STOPPING,
    )
