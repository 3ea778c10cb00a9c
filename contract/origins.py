"""Where a film comes from that nobody brings."""

from __future__ import annotations

import secrets
from typing import Annotated, Literal, Self, TypeAlias
from urllib.parse import urlsplit

from pydantic import Field, TypeAdapter

from contract.generation import (
    FRAMES_PER_SECOND,
    ClipWish,
    Generation,
    frames_of,
    snapped_size,
)
from contract.modes import Payload

S3 = "s3://"
LONGEST_URL = 4096
"""Characters; signed links have some thousand."""


class Link(Payload):
    """An address on the web, or of an object in a bucket."""

    kind: Literal["link"] = "link"
    url: str = Field(max_length=LONGEST_URL)
    is_titled: bool = False
    """A person gave the film its title; otherwise what is found there may say it."""

    @property
    def bucket_and_key(self) -> tuple[str, str] | None:
        """Of `s3://bucket/key`, in which the key may hold any character."""
        if not self.url.startswith(S3):
            return None
        bucket, _, key = self.url.removeprefix(S3).partition("/")
        return bucket, key

    @property
    def place(self) -> str:
        """What may be shown and logged: the rest may be a key to the film."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.hostname or ''}"


class Dropped(Payload):
    """A film in a drop folder of our own bucket."""

    kind: Literal["dropped"] = "dropped"
    key: str


class Prompt(Payload):
    """A clip that is made of words: what was asked for, and what that comes to."""

    kind: Literal["prompt"] = "prompt"
    wish: ClipWish
    seed: int
    """As asked for, or drawn."""
    width: int
    """Of the clip, in pixels."""
    height: int
    frames: int

    @classmethod
    def of(cls, wish: ClipWish) -> Self:
        """With a seed, where none was said, that people can write down."""
        width, height = snapped_size(wish.width, wish.height)
        return cls(
            wish=wish,
            seed=secrets.randbelow(2**32) if wish.seed is None else wish.seed,
            width=width,
            height=height,
            frames=frames_of(wish.seconds),
        )

    @property
    def seconds(self) -> float:
        """Length of the clip."""
        return self.frames / FRAMES_PER_SECOND

    def generation(
        self, output_uri: str, *, attempt: int = 0, linger_seconds: float | None = None
    ) -> Generation:
        """The body that asks for the clip."""
        return Generation(
            prompt=self.wish.prompt,
            negative_prompt=self.wish.negative_prompt,
            steps=self.wish.steps,
            guidance=self.wish.guidance,
            seed=self.seed,
            width=self.width,
            height=self.height,
            frames=self.frames,
            output_uri=output_uri,
            attempt=attempt,
            linger_seconds=linger_seconds,
        )


Origin: TypeAlias = Link | Dropped | Prompt
ORIGIN: TypeAdapter[Origin] = TypeAdapter(
    Annotated[Origin, Field(discriminator="kind")]
)
