"""Segment objects in and out: S3 objects and files, whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import boto3
from boto3.exceptions import Boto3Error
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
)
from pydantic import TypeAdapter, ValidationError

from contract.errors import ErrorCode, StereoSpotError
from contract.generation import Generated
from contract.invocation import COMPLETED_METADATA, CONVERSION_METADATA, Completed
from contract.keys import StereoSegmentKey
from inference.service.places import File, Object, Place

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

EXPIRING_TAG = "stereo-spot-lifecycle=expire-segments"
"""A bucket's lifecycle rule deletes what has it and was forgotten."""
MISSING = ("404", "NoSuchKey", "NotFound")
HIDDEN = ("403", "AccessDenied", "Forbidden")
"""What S3 says of a missing object to whom may not list its bucket."""
REFUSED = {
    "AccessDenied",
    "ExpiredToken",
    "InvalidAccessKeyId",
    "NoSuchBucket",
    "SignatureDoesNotMatch",
}
"""What S3 says where only whoever runs the server can help."""
NO_CREDENTIALS = (NoCredentialsError, PartialCredentialsError, ProfileNotFound)
_REMEMBERED = 1000
"""Files of which the server knows what made them."""


_DONE: TypeAdapter[Completed | Generated] = TypeAdapter(Completed | Generated)


class Made(NamedTuple):
    """What made an object, and what was answered then."""

    digest: str
    done: Completed | Generated


class Objects:
    """Reads and writes places that were allowed before.

    StereoSpotError: OBJECT_MISSING, STORAGE, DISK_FULL, MISCONFIGURED. S3 is tried `attempts` times,
    and may be silent for `read_seconds` each time.
    """

    def __init__(
        self, region: str, *, read_seconds: int = 30, attempts: int = 4
    ) -> None:
        self._region = region
        self._config = Config(
            connect_timeout=5,
            read_timeout=read_seconds,
            retries={"mode": "standard", "total_max_attempts": attempts},
        )

    @cached_property
    def _s3(self) -> S3Client:
        return boto3.client("s3", region_name=self._region, config=self._config)

    def fetch(self, place: Place, folder: Path, name: str) -> Path:
        """A local path of the object: in place on a disk, else `folder`/`name`."""
        if isinstance(place, File):
            if not place.path.is_file():
                raise _missing(str(place.path))
            return place.path
        path = folder / name
        with _translated(place):
            self._s3.download_file(place.bucket, place.key, str(path))
        return path

    def publish(self, path: Path, place: Place, made: Made) -> None:
        """Let the file at `path` be the object; it replaces one that is there."""
        with _translated(place):
            if isinstance(place, File):
                _publish_file(path, place)
                return
            extra: dict[str, Any] = {
                "ContentType": "video/mp4",
                "Metadata": {
                    CONVERSION_METADATA: made.digest,
                    COMPLETED_METADATA: made.done.model_dump_json(),
                },
            }
            if StereoSegmentKey.parse(place.key):  # sources and finals stay
                extra["Tagging"] = EXPIRING_TAG
            self._s3.upload_file(str(path), place.bucket, place.key, ExtraArgs=extra)

    def made(self, place: Object) -> Made | None:
        """What made the object that is there now; None if there is none of ours."""
        try:
            with _translated(place):
                head = self._s3.head_object(Bucket=place.bucket, Key=place.key)
        except StereoSpotError as error:
            if error.code is ErrorCode.OBJECT_MISSING:
                return None
            raise
        said = head["Metadata"]
        try:
            done = _DONE.validate_json(said[COMPLETED_METADATA])
            return Made(said[CONVERSION_METADATA], done)
        except (KeyError, ValidationError):
            return None


class Results:
    """Which results are there already."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._files: dict[Path, tuple[tuple[int, ...], Made]] = {}

    def find(self, place: Place, digest: str) -> Completed | Generated | None:
        """The answer that was given when the object at `place` was made by `digest`."""
        made = self._remembered(place) if isinstance(place, File) else None
        if isinstance(place, Object):
            made = self._objects.made(place)
        return made.done if made and made.digest == digest else None

    def note(self, place: Place, made: Made) -> None:
        """Files do not say what made them, so it is remembered here."""
        if not isinstance(place, File):
            return
        self._files.pop(place.path, None)
        while len(self._files) >= _REMEMBERED:
            self._files.pop(next(iter(self._files)))
        if (mark := _mark(place.path)) is not None:
            self._files[place.path] = mark, made

    def _remembered(self, place: File) -> Made | None:
        mark, made = self._files.get(place.path, (None, None))
        return made if mark is not None and mark == _mark(place.path) else None


def leftover(place: Place) -> Path | None:
    """What a writer that was killed may have left beside the object's name."""
    return _aside(place) if isinstance(place, File) else None


def _publish_file(path: Path, place: File) -> None:
    place.path.parent.mkdir(parents=True, exist_ok=True)
    aside = _aside(place)
    try:
        with path.open("rb") as content, aside.open("wb") as copy:
            shutil.copyfileobj(content, copy, 1 << 20)
            copy.flush()
            os.fsync(copy.fileno())
        aside.replace(place.path)
    finally:
        aside.unlink(missing_ok=True)
    folder = os.open(place.path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _aside(place: File) -> Path:
    return place.path.with_name(f".{place.path.name}.part")


def _mark(path: Path) -> tuple[int, ...] | None:
    """Another one when the file was replaced or written to; None if it is gone."""
    try:
        facts = path.stat()
    except OSError:
        return None
    return facts.st_ino, facts.st_size, facts.st_mtime_ns


@contextlib.contextmanager
def _translated(place: Place) -> Iterator[None]:
    name = str(place.path) if isinstance(place, File) else place.key
    try:
        yield
    except (ClientError, Boto3Error) as error:
        # What uploads raise wraps what S3 has said.
        said = error if isinstance(error, ClientError) else error.__context__
        code = said.response["Error"]["Code"] if isinstance(said, ClientError) else ""
        if code in MISSING or (code in HIDDEN and _asked_for(said)):
            raise _missing(name) from error
        if code in REFUSED:
            raise _refused(name, error) from error
        raise _storage(error) from error
    except NO_CREDENTIALS as error:
        raise _refused(name, error) from error
    except BotoCoreError as error:
        raise _storage(error) from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StereoSpotError(
                ErrorCode.DISK_FULL,
                "The disk of the inference server is full: whoever runs it must free "
                "space there, then the job can be retried.",
            ) from error
        raise _storage(error) from error


def _asked_for(said: object) -> bool:
    """It was only asked whether the object is there."""
    return isinstance(said, ClientError) and said.operation_name == "HeadObject"


def _missing(name: str) -> StereoSpotError:
    return StereoSpotError(
        ErrorCode.OBJECT_MISSING,
        f"There is no object {name} that the inference server may read.",
    )


def _refused(name: str, error: Exception) -> StereoSpotError:
    return StereoSpotError(
        ErrorCode.MISCONFIGURED,
        f"S3 refuses {name} to the inference server: {str(error).rstrip('.')}. "
        "docs/inference.md says what its role must be allowed.",
    )


def _storage(error: Exception) -> StereoSpotError:
    return StereoSpotError(ErrorCode.STORAGE, f"Storage: {error}")
