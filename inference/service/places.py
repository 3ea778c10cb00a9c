"""URIs of an invocation → places that it may read from and write to.

The server acts with more rights than its callers have, so it goes nowhere but to the
configured buckets, at keys of `contract.keys`, and below one folder.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeAlias
from urllib.parse import unquote, urlsplit
from uuid import UUID

from contract.errors import ErrorCode, StereoSpotError
from contract.generation import Generation
from contract.invocation import Invocation
from contract.keys import (
    DepthSegmentKey,
    FinalKey,
    ImageKey,
    SegmentKey,
    SourceKey,
    StereoSegmentKey,
)
from inference.service.settings import Settings

_DEPTH_OF_STEREO_KEY = 4
"""Parts of `jobs/{job_id}/segments/{index}.mp4`."""
_DEPTH_OF_CLIP_KEY = 3
"""Parts of `jobs/{job_id}/final.mp4`."""

Key: TypeAlias = (
    SegmentKey | DepthSegmentKey | StereoSegmentKey | ImageKey | SourceKey | FinalKey
)
RESULTS = (StereoSegmentKey, FinalKey)
"""What lies in the result bucket; all else in the source bucket."""
CLIPS = (SourceKey, FinalKey)
"""What a clip may become: a film that is converted next, or what a person gets."""


@dataclass(frozen=True, slots=True)
class Object:
    """In a bucket."""

    bucket: str
    key: str


@dataclass(frozen=True, slots=True)
class File:
    """On a disk; no part of `path` is a symbolic link, apart from its last."""

    path: Path


Place: TypeAlias = Object | File


@dataclass(frozen=True, slots=True)
class Places:
    """Where an invocation reads and writes."""

    source: Place | None
    """None: a clip is made of a prompt alone."""
    depth: Place | None
    target: Place


def places_of(asked: Invocation | Generation, settings: Settings) -> Places:
    """FORBIDDEN_URI for what is outside, BAD_REQUEST for what is no such URI."""
    if isinstance(asked, Generation):
        allowed = _Allowed(settings)
        image = asked.image_uri and allowed.place(asked.image_uri, ImageKey)
        return Places(image or None, None, allowed.place(asked.output_uri, *CLIPS))
    return _of_conversion(asked, settings)


def _of_conversion(invocation: Invocation, settings: Settings) -> Places:
    if (invocation.depth is None) != (invocation.depth_uri is None):
        raise StereoSpotError(
            ErrorCode.BAD_REQUEST, "depth and depth_uri come together, or not at all."
        )
    allowed = _Allowed(settings)
    source = allowed.place(invocation.input_uri, SegmentKey)
    target = allowed.place(invocation.output_uri, StereoSegmentKey)
    depth = invocation.depth_uri and allowed.place(
        invocation.depth_uri, DepthSegmentKey
    )
    return Places(source, depth or None, target)


def target_of(output_uri: str, settings: Settings) -> Place:
    """As `Places.target`."""
    return _Allowed(settings).place(output_uri, StereoSegmentKey, *CLIPS)


def segment_of(output_uri: str) -> StereoSegmentKey | None:
    """The segment that an output belongs to, as its last parts say; None if they do not."""
    parts = PurePosixPath(output_uri).parts[-_DEPTH_OF_STEREO_KEY:]
    return StereoSegmentKey.parse("/".join(parts))


def job_of(output_uri: str) -> UUID | None:
    """The job that a clip belongs to, likewise."""
    parts = "/".join(PurePosixPath(output_uri).parts[-_DEPTH_OF_CLIP_KEY:])
    key: SourceKey | FinalKey | None
    key = SourceKey.parse(parts) or FinalKey.parse(parts)
    return key.job_id if key else None


class _Allowed:
    """Of one invocation: all its objects belong to the same segment, or job."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._owner: tuple[object, int | None] | None = None

    def place(self, uri: str, *kinds: type[Key]) -> Place:
        """Of a key of one of these kinds."""
        try:
            parts = urlsplit(uri)
        except ValueError as error:
            raise _no_uri(uri) from error
        if parts.query or parts.fragment or not uri.isprintable():
            raise _no_uri(uri)
        if parts.scheme == "s3":
            return self._object(uri, parts.netloc, parts.path[1:], kinds)
        if parts.scheme == "file" and parts.netloc in ("", "localhost"):
            return self._file(uri, unquote(parts.path))
        raise _no_uri(uri)

    def _object(
        self, uri: str, bucket: str, key: str, kinds: tuple[type[Key], ...]
    ) -> Object:
        found: Iterator[Key | None] = (kind.parse(key) for kind in kinds)
        parsed = next((each for each in found if each is not None), None)
        settings, is_result = self._settings, isinstance(parsed, RESULTS)
        allowed = settings.result_bucket if is_result else settings.source_bucket
        if allowed is None or bucket != allowed or parsed is None:
            raise _forbidden(uri)
        owner = parsed.job_id, getattr(parsed, "index", None)
        self._owner = self._owner or owner
        if owner != self._owner:
            raise _forbidden(uri)
        return Object(bucket, key)

    def _file(self, uri: str, name: str) -> File:
        root, path = self._settings.inference_file_root, Path(name)
        if root is None or "\0" in name or path.name in ("", ".."):
            raise _forbidden(uri)
        try:
            # Of a link what it leads to counts, so that none leads out.
            resolved = path.parent.resolve() / path.name
            is_inside = root.resolve() in resolved.resolve().parents
        except (OSError, RuntimeError) as error:  # a loop, or a name that is too long
            raise _forbidden(uri) from error
        if not is_inside or root.resolve() not in resolved.parents:
            raise _forbidden(uri)
        return File(resolved)


def _no_uri(uri: str) -> StereoSpotError:
    message = f"{uri!r} is no URI of the kind s3://bucket/key or file:///path."
    return StereoSpotError(ErrorCode.BAD_REQUEST, message)


def _forbidden(uri: str) -> StereoSpotError:
    return StereoSpotError(
        ErrorCode.FORBIDDEN_URI,
        f"This server may not use {uri!r}: SOURCE_BUCKET, RESULT_BUCKET and "
        "INFERENCE_FILE_ROOT say what it may.",
    )
