"""Messages that ask for clips, as the producers of Story IV send them.

A message is a JSON object. Numbers may come as strings; anything else in their place is
refused with the field's name. Fields that nobody knows are ignored.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, NamedTuple

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)

from contract.generation import (
    FRAMES_PER_SECOND,
    LARGEST_SEED,
    LONGEST_SECONDS,
    ClipWish,
    Guidance,
    Seed,
    Side,
    Steps,
    Words,
)
from contract.keys import is_story_id

MOST_VIDEOS = 2
"""Clips of one message."""
_NUMBER = re.compile(r"[+-]?\d{1,19}(\.\d{1,9})?", re.ASCII)


class TaskStatus(StrEnum):
    """Of a message's clips, in the producer's words."""

    PENDING = "PENDING"
    IN_PROGRESS = "IN_PROGRESS"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"


class TaskIds(NamedTuple):
    """What a producer knows its task by."""

    parent_id: str
    task_id: str


class StoryError(ValueError):
    """What is wrong with a message, each field by its name."""


def _number(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("must be a number")
    if isinstance(value, str):
        if not _NUMBER.fullmatch(value.strip()):
            raise ValueError("must be a number")
        return value.strip()
    return value


def _made(fps: int) -> int:
    if fps != FRAMES_PER_SECOND:
        raise ValueError(f"must be {FRAMES_PER_SECOND}: no other rate is made")
    return fps


NUMBER = BeforeValidator(_number)


class VideoJob(BaseModel):
    """What a message asks for; defaults and limits are those of Story IV."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    prompt: Annotated[Words, StringConstraints(min_length=1)]
    negative_prompt: Words = ""
    seed: Annotated[Seed | None, NUMBER] = None
    """None where the message has none."""
    steps: Annotated[Steps, NUMBER] = 15
    guidance: Annotated[Guidance, NUMBER] = 7.0
    width: Annotated[Side, NUMBER] = 1280
    height: Annotated[Side, NUMBER] = 720
    num_videos: Annotated[int, NUMBER, Field(ge=1, le=MOST_VIDEOS)] = 1
    seconds: Annotated[int, NUMBER, Field(ge=1, le=LONGEST_SECONDS)] = 5
    fps: Annotated[int, NUMBER, AfterValidator(_made)] = FRAMES_PER_SECOND

    def wish(self, seed: int | None) -> ClipWish:
        """One of the clips, with the size that was asked for."""
        return ClipWish(
            prompt=self.prompt,
            negative_prompt=self.negative_prompt,
            seconds=self.seconds,
            width=self.width,
            height=self.height,
            seed=seed,
            steps=self.steps,
            guidance=self.guidance,
        )

    def seeds(self, first: int) -> list[int]:
        """Of each clip: one after the other, or they would be the same."""
        return [(first + n) % (LARGEST_SEED + 1) for n in range(self.num_videos)]


def ids_of(message: Mapping[str, Any]) -> TaskIds | None:
    """None where they cannot be read, so that nobody could be told."""
    parent_id, task_id = message.get("parent_id"), message.get("task_id")
    if is_story_id(parent_id) and is_story_id(task_id):
        return TaskIds(parent_id, task_id)
    return None


def video_job(message: Mapping[str, Any]) -> VideoJob:
    """What it asks for; raises `StoryError`."""
    try:
        return VideoJob.model_validate(message)
    except ValidationError as error:
        wrong = (
            f"{'.'.join(map(str, each['loc'][:1]))}: "
            f"{each['msg'].removeprefix('Value error, ')}"
            for each in error.errors(include_url=False, include_input=False)
        )
        raise StoryError("; ".join(dict.fromkeys(wrong))) from None


def unknown_fields(message: Mapping[str, Any]) -> list[str]:
    """Names that are ignored."""
    known = {*TaskIds._fields, *VideoJob.model_fields}
    return sorted(name for name in message if name not in known)
