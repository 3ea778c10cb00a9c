"""The body of POST /invocations and of its answer."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from contract.errors import ErrorCode
from contract.frames import DepthFrames, Picture, SegmentFrames
from contract.modes import Engine, Payload, StereoMode, StereoSettings


class Conversion(Payload):
    """What to make of one segment object, wherever it lies."""

    mode: StereoMode
    engine: Engine = Engine.PREVIEW
    settings: StereoSettings = StereoSettings()
    frames: SegmentFrames
    depth: DepthFrames | None = None
    """Of the depth segment that takes the place of the engine's own estimate."""
    picture: Picture
    seed: NonNegativeInt = 0


class Completed(Payload):
    status: Literal["ok"] = "ok"
    frames: PositiveInt
    seconds: float = Field(ge=0)
    """Wall time of the conversion."""
    engine: Engine
    version: str
    """Of the engine: the same version, seed and segment give the same picture."""


class Failed(Payload):
    status: Literal["error"] = "error"
    code: ErrorCode
    message: str
