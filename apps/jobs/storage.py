"""Where films lie: two aliases, `source` and `result`, each a disk or a bucket.

Work needs paths: `local` gives the path of an object, in place on a disk, downloaded
for a while from a bucket. What is written appears under its key whole or not at all.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings
from django.core.files.storage import FileSystemStorage, storages
from storages.backends.s3 import S3Storage

from contract.errors import ErrorCode, StereoSpotError
from contract.keys import StereoSegmentKey

EXPIRING_TAG = "stereo-spot-lifecycle=expire-segments"
"""Objects with it are only needed until the final is there; a bucket's lifecycle rule
deletes those that the tidying missed."""


class Disk(FileSystemStorage):
    """A folder. Files are private to the user that StereoSpot runs as."""

    def __init__(self, location: Path) -> None:
        super().__init__(
            location=location,
            file_permissions_mode=0o600,
            directory_permissions_mode=0o700,
            allow_overwrite=True,
        )

    @contextlib.contextmanager
    def local(self, key: str) -> Iterator[Path]:
        yield Path(self.path(key))

    def put(self, key: str, path: Path) -> None:
        """Move the file at `path` to `key`."""
        target = Path(self.path(key))
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            path.replace(target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            # From another disk: copied aside first, so that the key stays whole.
            aside = target.with_name(f".{target.name}.part")
            shutil.move(path, aside)
            aside.replace(target)

    def adopt(self, key: str, path: Path) -> None:
        """Let `key` mean the file at `path`, which stays where it is."""
        target = Path(self.path(key))
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        target.unlink(missing_ok=True)
        target.symlink_to(path.resolve())

    def delete_prefix(self, prefix: str) -> None:
        shutil.rmtree(self.path(prefix), ignore_errors=True)


class Bucket(S3Storage):  # type: ignore[misc] # it has no types
    """An S3 bucket. Links to its objects are signed and short-lived."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            **options,
            querystring_auth=True,
            querystring_expire=3600,
            file_overwrite=True,
            default_acl=None,
        )

    def get_object_parameters(self, name: str) -> dict[str, Any]:
        parameters: dict[str, Any] = super().get_object_parameters(name)
        if StereoSegmentKey.parse(name):
            parameters["Tagging"] = EXPIRING_TAG
        return parameters

    @contextlib.contextmanager
    def local(self, key: str) -> Iterator[Path]:
        with temporary_dir() as folder:
            path = folder / Path(key).name
            self.bucket.download_file(key, str(path))
            yield path

    def put(self, key: str, path: Path) -> None:
        """Upload the file at `path` to `key` and delete it here."""
        with path.open("rb") as content:
            self.save(key, content)
        path.unlink()

    def adopt(self, key: str, path: Path) -> None:
        """Upload the file at `path` to `key`; the file stays."""
        with path.open("rb") as content:
            self.save(key, content)

    def delete_prefix(self, prefix: str) -> None:
        self.bucket.objects.filter(Prefix=prefix).delete()


def source() -> Disk | Bucket:
    return storages["source"]  # type: ignore[return-value] # settings name these two


def result() -> Disk | Bucket:
    return storages["result"]  # type: ignore[return-value]


def size(store: Disk | Bucket, key: str) -> int | None:
    """Bytes of the object, or None when there is none."""
    with translated():
        return store.size(key) if store.exists(key) else None


@contextlib.contextmanager
def temporary_dir() -> Iterator[Path]:
    """A folder for the files of one attempt, gone afterwards whatever happens."""
    settings.TEMPORARY_DIR.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=settings.TEMPORARY_DIR) as folder:
        yield Path(folder)


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Turn what disks and buckets raise into errors that say who must act."""
    try:
        yield
    except FileNotFoundError as error:
        message = "The film's file is gone from the store; upload it again."
        raise StereoSpotError(ErrorCode.SOURCE_MISSING, message) from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise disk_full() from error
        raise
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") in ("404", "NoSuchKey"):
            message = "The film's object is gone from the bucket; upload it again."
            raise StereoSpotError(ErrorCode.SOURCE_MISSING, message) from error
        raise StereoSpotError(ErrorCode.STORAGE, f"Storage: {error}") from error
    except BotoCoreError as error:
        raise StereoSpotError(ErrorCode.STORAGE, f"Storage: {error}") from error


def disk_full() -> StereoSpotError:
    folder = settings.TEMPORARY_DIR.parent
    return StereoSpotError(
        ErrorCode.DISK_FULL,
        f"The disk of {folder} is full: whoever runs StereoSpot must free space there, "
        "then the job can be retried.",
    )


def is_readable(path: Path) -> bool:
    return path.is_file() and os.access(path, os.R_OK)
