"""Objects that arrive in parts: a file on a disk that fills up, a multipart upload of S3.

Nothing lies under the object's key before it is whole. What is not finished lies beside
it, or in the bucket unseen, until `clear`.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from django.db.models import QuerySet

from apps.jobs.models import Job, Upload
from apps.jobs.storage import Bucket, Disk, disk_full
from contract.errors import ErrorCode, StereoSpotError

READ_BYTES = 1024**2
RESERVE = 1_000_000_000
"""Bytes of a disk that no film from outside may take: on one machine the ledger lies on the
same one, and what is made of the films that are here."""
URL_SECONDS = 3600
"""How long a signed address takes a part."""


class DiskParts:
    """Parts are written into one file, each at its place; a second one says which came."""

    def __init__(self, store: Disk) -> None:
        self._store = store

    def begin(self, key: str, size: int) -> str:
        """What the store calls it; nothing changes where it has begun."""
        data = self._store.place(key).with_name(_data(key))
        if data.exists():
            return data.name
        others = sum(self._to_come(upload) for upload in _begun() if upload.key != key)
        if self._free(key) < size + others:
            raise disk_full()
        with data.open("ab"):
            data.chmod(0o600)
        return data.name

    def write(self, upload: Upload, number: int, read: Callable[[int], bytes]) -> None:
        """Take part `number` from `read`; raises `StereoSpotError`."""
        length, done = upload.length_of(number), 0
        if self._free(upload.key) < length:
            raise disk_full()
        offset = (number - 1) * upload.part_bytes
        with self._opened(upload.key, fcntl.LOCK_SH) as file:
            while done < length:
                piece = read(min(READ_BYTES, length - done))
                if not piece:
                    raise _incomplete(f"Part {number} broke off: send it again.")
                os.pwrite(file, piece, offset + done)
                done += len(piece)
            os.fdatasync(file)
            self._note(upload.key, number)

    def arrived(self, upload: Upload) -> dict[int, int]:
        """Number → bytes of the parts that are here."""
        try:
            noted = self._path(_noted(upload.key), upload.key).read_text().split()
        except FileNotFoundError:
            return {}
        return {
            n: upload.length_of(n) for n in sorted(int(each) for each in set(noted))
        }

    def finish(self, upload: Upload) -> None:
        data = self._path(_data(upload.key), upload.key)
        # Whoever still writes holds a share of the lock: after this nobody does.
        with self._opened(upload.key, fcntl.LOCK_EX | fcntl.LOCK_NB) as file:
            os.fsync(file)
            data.replace(self._store.path(upload.key))
        self._path(_noted(upload.key), upload.key).unlink(missing_ok=True)

    def clear(self, prefix: str) -> None:
        folder = Path(self._store.path(prefix))
        for left in folder.glob(".*.part*"):
            left.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _opened(self, key: str, lock: int) -> Iterator[int]:
        path = self._path(_data(key), key)
        try:
            file = os.open(path, os.O_WRONLY)
        except FileNotFoundError as error:
            raise over() from error
        try:
            fcntl.flock(file, lock)
            if not path.exists():  # it became whole while we waited
                raise over()
            yield file
        except BlockingIOError as error:
            raise _incomplete("A part is still arriving: try again.") from error
        except FileNotFoundError as error:  # cleared away beneath us
            raise over() from error
        finally:
            os.close(file)

    def _free(self, key: str) -> int:
        """Bytes of the disk that films may still take."""
        return shutil.disk_usage(self._store.place(key).parent).free - RESERVE

    def _to_come(self, upload: Upload) -> int:
        """Bytes that the upload will still take of the disk."""
        try:
            taken = self._path(_data(upload.key), upload.key).stat().st_blocks * 512
        except FileNotFoundError:
            taken = 0
        return max(0, upload.size - taken)

    def _note(self, key: str, number: int) -> None:
        with self._path(_noted(key), key).open("a") as noted:
            noted.write(f"{number}\n")

    def _path(self, name: str, key: str) -> Path:
        return Path(self._store.path(key)).with_name(name)


class BucketParts:
    """A multipart upload; parts go to the bucket itself, each to a signed address."""

    def __init__(self, store: Bucket) -> None:
        self._name = store.bucket_name
        self._s3 = _client(store.region_name, store.endpoint_url)

    def begin(self, key: str, size: int) -> str:
        made = self._s3.create_multipart_upload(Bucket=self._name, Key=key)
        return str(made["UploadId"])

    def address(self, upload: Upload, number: int) -> str:
        """Where this part, and no other, of this length may be put for a while."""
        where = {**self._upload(upload), "PartNumber": number}
        where["ContentLength"] = upload.length_of(number)
        return str(
            self._s3.generate_presigned_url(
                "upload_part", Params=where, ExpiresIn=URL_SECONDS
            )
        )

    def origin(self) -> str:
        """Where parts are sent to, as browsers name it."""
        where = {"Bucket": self._name, "Key": "any"}
        parts = urlsplit(self._s3.generate_presigned_url("get_object", Params=where))
        return f"{parts.scheme}://{parts.netloc}"

    def arrived(self, upload: Upload) -> dict[int, int]:
        return {part["PartNumber"]: part["Size"] for part in self._parts(upload)}

    def finish(self, upload: Upload) -> None:
        parts = [
            {"PartNumber": part["PartNumber"], "ETag": part["ETag"]}
            for part in self._parts(upload)
        ]
        with _gone_is_well():  # another was faster, or our own first try was
            self._s3.complete_multipart_upload(
                **self._upload(upload), MultipartUpload={"Parts": parts}
            )

    def clear(self, prefix: str) -> None:
        pages = self._s3.get_paginator("list_multipart_uploads")
        for page in pages.paginate(Bucket=self._name, Prefix=prefix):
            for left in page.get("Uploads", ()):
                with _gone_is_well():
                    self._s3.abort_multipart_upload(
                        Bucket=self._name, Key=left["Key"], UploadId=left["UploadId"]
                    )

    def _parts(self, upload: Upload) -> list[dict[str, Any]]:
        pages = self._s3.get_paginator("list_parts")
        found: list[dict[str, Any]] = []
        with _gone_is_well():
            for page in pages.paginate(**self._upload(upload)):
                found.extend(page.get("Parts", ()))
        return found

    def _upload(self, upload: Upload) -> dict[str, Any]:
        return {"Bucket": self._name, "Key": upload.key, "UploadId": upload.handle}


@functools.cache
def _client(region: str, endpoint: str | None) -> Any:
    client = _client_with(region, endpoint, {})
    if client.meta.endpoint_url.endswith(".amazonaws.com"):
        # Else addresses name no region: AWS redirects, which browsers do not follow here.
        return _client_with(region, endpoint, {"addressing_style": "virtual"})
    return client


def _client_with(region: str, endpoint: str | None, s3: Any) -> Any:
    # Not the store's own: what is signed has no body yet of which to send a checksum.
    return boto3.session.Session().client(
        "s3",
        region_name=region,
        endpoint_url=endpoint,
        config=Config(
            signature_version="s3v4",
            request_checksum_calculation="when_required",
            connect_timeout=5,
            read_timeout=30,
            retries={"mode": "standard", "max_attempts": 4},
            s3=s3,
        ),
    )


def parts_of(store: Disk | Bucket) -> DiskParts | BucketParts:
    return BucketParts(store) if isinstance(store, Bucket) else DiskParts(store)


def _begun() -> QuerySet[Upload]:
    """Those that are announced and not whole. Rows come before files, so of two films that
    begin at once at least one sees the other."""
    begun = Upload.objects.filter(arrived_at=None, job__status=Job.Status.CREATED)
    return begun.select_related("job")


def over() -> StereoSpotError:
    return StereoSpotError(
        ErrorCode.UPLOAD_OVER, "This upload is over: nothing more is taken for it."
    )


def _incomplete(message: str) -> StereoSpotError:
    return StereoSpotError(ErrorCode.UPLOAD_INCOMPLETE, message)


@contextlib.contextmanager
def _gone_is_well() -> Iterator[None]:
    """The upload is finished or aborted: whoever asks finds out by its object."""
    try:
        yield
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") not in ("404", "NoSuchUpload"):
            raise


def _data(key: str) -> str:
    return f".{Path(key).name}.part"


def _noted(key: str) -> str:
    return f".{Path(key).name}.parts"
