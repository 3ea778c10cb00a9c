"""Where films lie: the aliases `source` and `result`, each a disk or a bucket, and `story`
for the producers of Story IV.

Work needs paths: `local` gives the path of an object, in place on a disk, downloaded
for a while from a bucket. What is written appears under its key whole or not at all.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from boto3.s3.transfer import TransferConfig, create_transfer_manager
from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings
from django.core.files.storage import FileSystemStorage, storages
from storages.backends.s3 import S3Storage

from apps.jobs import aws
from contract.errors import ErrorCode, StereoSpotError
from contract.keys import DepthKey, SourceKey, StereoSegmentKey

EXPIRING_TAG = "stereo-spot-lifecycle=expire-segments"
"""Objects with it are only needed until the final is there; a bucket's lifecycle rule
deletes those that the tidying missed."""
_TOGETHER = TransferConfig(max_concurrency=5)
"""Requests for content at a time; as many more ask for sizes, and 10 connections are kept."""
FORGOTTEN_SECONDS = 24 * 3600
"""A temporary file that was not touched for so long belongs to nobody."""


class Disk(FileSystemStorage):
    """A folder. Its files are private to the user that StereoSpot runs as."""

    def __init__(self, location: Path) -> None:
        super().__init__(
            location=location,
            file_permissions_mode=0o600,
            directory_permissions_mode=0o700,
            allow_overwrite=True,
        )

    @contextlib.contextmanager
    def local(self, key: str) -> Iterator[Path]:
        path = Path(self.path(key))
        if not path.exists():
            raise _missing(key)
        yield path

    @contextlib.contextmanager
    def all_local(
        self, keys: Sequence[str], check: Callable[[], None]
    ) -> Iterator[list[Path]]:
        """`local` of many; `check` is called now and then."""
        with contextlib.ExitStack() as stack:
            check()
            yield [stack.enter_context(self.local(key)) for key in keys]

    def put(self, key: str, path: Path) -> None:
        """Move the file at `path` to `key`."""
        target = self.place(key)
        path.chmod(0o600)
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
        target = self.place(key)
        target.unlink(missing_ok=True)
        target.symlink_to(path.resolve())

    def keys(self, prefix: str) -> set[str]:
        """Keys of the objects directly under a prefix that ends in a slash."""
        folder = Path(self.path(prefix))
        return (
            {f"{prefix}{path.name}" for path in folder.iterdir()}
            if folder.exists()
            else set()
        )

    def delete_prefix(self, prefix: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self.path(prefix))

    def place(self, key: str) -> Path:
        """The path of `key`, below folders that only we may enter."""
        target = Path(self.path(key))
        root = Path(self.location)
        folders = [f for f in target.parents if f == root or root in f.parents]
        for folder in reversed(folders):
            folder.mkdir(mode=0o700, parents=folder == root, exist_ok=True)
        return target


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
        with self.all_local([key], lambda: None) as [path]:
            yield path

    @contextlib.contextmanager
    def all_local(
        self, keys: Sequence[str], check: Callable[[], None]
    ) -> Iterator[list[Path]]:
        """`local` of many, downloaded together; `check` is called now and then."""
        client = self.bucket.meta.client
        with temporary_dir() as folder:
            names = [Path(key).name for key in keys]
            paths = [folder / f"{at}-{name}" for at, name in enumerate(names)]
            with create_transfer_manager(client, _TOGETHER) as manager:
                coming = [
                    manager.download(self.bucket.name, key, str(path))
                    for key, path in zip(keys, paths, strict=True)
                ]
                for key, download in zip(keys, coming, strict=True):
                    check()
                    with _known_as(key):
                        download.result()
            yield paths

    def put(self, key: str, path: Path) -> None:
        """Upload the file at `path` to `key` and delete it here."""
        self.adopt(key, path)
        path.unlink()

    def adopt(self, key: str, path: Path) -> None:
        """Upload the file at `path` to `key`; the file stays."""
        with path.open("rb") as content:
            self.save(key, content)

    def keys(self, prefix: str) -> set[str]:
        """Keys of the objects under a prefix."""
        return {found.key for found in self.bucket.objects.filter(Prefix=prefix)}

    def delete_prefix(self, prefix: str) -> None:
        for answer in self.bucket.objects.filter(Prefix=prefix).delete():
            if refused := answer.get("Errors"):
                message = f"Storage: {len(refused)} objects were not deleted."
                raise StereoSpotError(ErrorCode.STORAGE, message)


def source() -> Disk | Bucket:
    return storages["source"]  # type: ignore[return-value] # settings name these


def result() -> Disk | Bucket:
    return storages["result"]  # type: ignore[return-value]


def story() -> Disk | Bucket:
    return storages["story"]  # type: ignore[return-value]


def bucket_name(store: Disk | Bucket) -> str | None:
    """None where it is a folder."""
    return str(store.bucket_name) if isinstance(store, Bucket) else None


def url(store: Bucket, key: str, **options: Any) -> str:
    """A signed link to the object, whether it is there or not."""
    with translated():
        return str(store.url(key, **options))


def size(store: Disk | Bucket, key: str) -> int | None:
    """Bytes of the object, or None when there is none."""
    with translated():
        return store.size(key) if store.exists(key) else None


@contextlib.contextmanager
def temporary_dir() -> Iterator[Path]:
    """A folder for the files of one attempt, gone afterwards whatever happens.

    It is locked as long as its process lives; see `clear_leftovers`.
    """
    settings.TEMPORARY_DIR.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=settings.TEMPORARY_DIR) as name:
        lock = os.open(name, os.O_RDONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield Path(name)
        finally:
            os.close(lock)


def clear_leftovers() -> None:
    """Delete temporary files whose process was killed."""
    for left in settings.TEMPORARY_DIR.iterdir():
        with contextlib.suppress(OSError):
            age = time.time() - left.stat().st_mtime
            if left.is_file() and age > FORGOTTEN_SECONDS:
                left.unlink()
            elif left.is_dir() and age > 1 and not _is_locked(left):
                shutil.rmtree(left)


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Turn what disks and buckets raise into errors that say who must act."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise disk_full() from error
        raise
    except (BotoCoreError, ClientError) as error:
        passing = StereoSpotError(ErrorCode.STORAGE, f"Storage: {error}")
        raise aws.refusal(error) or passing from error


def disk_full() -> StereoSpotError:
    folder = settings.TEMPORARY_DIR.parent
    return StereoSpotError(
        ErrorCode.DISK_FULL,
        f"The disk of {folder} is full: whoever runs StereoSpot must free space there, "
        "then the job can be retried.",
    )


def is_readable(path: Path) -> bool:
    return path.is_file() and os.access(path, os.R_OK)


@contextlib.contextmanager
def _known_as(key: str) -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") in ("404", "NoSuchKey"):
            raise _missing(key) from error
        raise


def _missing(key: str) -> StereoSpotError:
    if SourceKey.parse(key):
        message = "The film’s file is gone from the store; upload it again."
        return StereoSpotError(ErrorCode.SOURCE_MISSING, message)
    if DepthKey.parse(key):
        message = "The depth video’s file is gone from the store; upload it again."
        return StereoSpotError(ErrorCode.SOURCE_MISSING, message)
    message = "A part of the work is gone from the store; Retry makes it again."
    return StereoSpotError(ErrorCode.OBJECT_MISSING, message)


def _is_locked(folder: Path) -> bool:
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False
