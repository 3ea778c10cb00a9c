"""The body of POST /invocations and of its answer."""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import Literal

from pydantic import AliasChoices, Field, NonNegativeInt, PositiveInt

from contract.errors import ErrorCode
from contract.frames import DepthFrames, Picture, SegmentFrames
from contract.modes import Engine, Payload, StereoMode, StereoSettings

CONVERSION_METADATA = "stereospot-conversion"
"""User metadata of a stereo segment object in S3: the digest of what it was made by."""
COMPLETED_METADATA = "stereospot-completed"
"""Likewise: the answer that was given when it was made, as JSON."""


class _Wishes(Payload):
    """What is asked for, apart from the film itself."""

    mode: StereoMode
    engine: Engine = Engine.PREVIEW
    settings: StereoSettings = StereoSettings()
    depth: DepthFrames | None = None
    """Of the depth segment that takes the place of the engine's own estimate."""
    seed: NonNegativeInt = 0


class Conversion(_Wishes):
    """What to make of one segment object, wherever it lies."""

    frames: SegmentFrames
    picture: Picture


class Invocation(_Wishes):
    """The body of POST /invocations: which object to convert, to which, and how.

    URIs are `s3://bucket/key` or `file:///path`. The server writes the stereo segment to
    `output_uri` itself, whole or not at all.
    """

    task: Literal["convert"] = "convert"
    input_uri: str = Field(
        validation_alias=AliasChoices("input_uri", "s3_input_uri"), max_length=2048
    )
    output_uri: str = Field(
        validation_alias=AliasChoices("output_uri", "s3_output_uri"), max_length=2048
    )
    depth_uri: str | None = Field(default=None, max_length=2048)
    """Of the object that `depth` is the manifest of: both, or neither."""
    attempt: NonNegativeInt = 0
    """For the log: the same work is the same, whichever attempt asks for it."""
    linger_seconds: float | None = Field(default=None, ge=0, le=24 * 3600)
    """How long the conversion goes on when nobody waits for it any more. Long is for who
    says when it is not wanted (`Enquiry`); None: as long as the server thinks fit."""
    frames: SegmentFrames | None = None
    """None: every frame that the object holds."""
    picture: Picture | None = None
    """None: as the object's own picture."""

    @property
    def maker(self) -> str:
        """What makes it, for logs and metrics."""
        return self.engine.value

    @property
    def digest(self) -> str:
        """SHA-256 of all that shapes the result, and of where it comes from and goes."""
        return hashlib.sha256(
            self.model_dump_json(exclude={"attempt", "linger_seconds"}).encode()
        ).hexdigest()

    def conversion(self, frames: SegmentFrames, picture: Picture) -> Conversion:
        """With the frames and the picture that may be absent here."""
        return Conversion(
            mode=self.mode,
            engine=self.engine,
            settings=self.settings,
            depth=self.depth,
            seed=self.seed,
            frames=frames,
            picture=picture,
        )

    @classmethod
    def of(
        cls,
        conversion: Conversion,
        *,
        input_uri: str,
        output_uri: str,
        depth_uri: str | None = None,
        attempt: int = 0,
        linger_seconds: float | None = None,
    ) -> Invocation:
        """The invocation that asks for a conversion."""
        return cls(
            input_uri=input_uri,
            output_uri=output_uri,
            depth_uri=depth_uri,
            attempt=attempt,
            linger_seconds=linger_seconds,
            mode=conversion.mode,
            engine=conversion.engine,
            settings=conversion.settings,
            depth=conversion.depth,
            seed=conversion.seed,
            frames=conversion.frames,
            picture=conversion.picture,
        )


class Enquiry(Payload):
    """Another body of POST /invocations: about conversions to `output_uri`."""

    task: Literal["look", "cancel"]
    """`look`: how does it stand? `cancel`: also, that whoever asked has gone for good.
    It ends as soon as nobody else waits for it."""
    output_uri: str = Field(max_length=2048)


class State(StrEnum):
    CONVERTING = "converting"
    WAITING = "waiting"
    """For its turn, or for the engine to be loaded."""
    UNKNOWN = "unknown"
    """Nobody has asked for it, or it is over."""


class Standing(Payload):
    """The answer to an `Enquiry`: how it stood."""

    status: Literal["ok"] = "ok"
    state: State


class Completed(Payload):
    status: Literal["ok"] = "ok"
    frames: PositiveInt
    seconds: float = Field(ge=0)
    """Wall time of the conversion."""
    engine: Engine
    version: str
    """Of the engine: the same version, seed and segment give the same picture."""

    @property
    def maker(self) -> str:
        return self.engine.value


class Failed(Payload):
    status: Literal["error"] = "error"
    code: ErrorCode
    message: str
