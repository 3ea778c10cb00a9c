"""Where a film comes from that nobody brings."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, TypeAdapter

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


Origin = Annotated[Link | Dropped, Field(discriminator="kind")]
ORIGIN: TypeAdapter[Link | Dropped] = TypeAdapter(Origin)
