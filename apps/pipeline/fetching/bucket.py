"""A film from a bucket that we may read: copied by S3 itself where it can."""

from __future__ import annotations

from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from django.conf import settings

from apps.jobs import storage
from apps.pipeline.fetching.allowed import refused
from apps.pipeline.leases import Lease
from contract.errors import ErrorCode, StereoSpotError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

MISSING = ("404", "NoSuchKey", "NotFound")
FORBIDDEN = ("403", "AccessDenied", "Forbidden")


def copy(bucket: str, name: str, key: str, lease: Lease) -> None:
    """Let `key` of the source store be a copy of the object of that name.

    StereoSpotError: LINK_REFUSED, MISCONFIGURED (we may not read it), TOO_LARGE, STORAGE.
    """
    try:
        _copy(bucket, name, key, lease)
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code")
        if code in MISSING:
            raise refused(f"There is no object {name} in {bucket}.") from error
        if code in FORBIDDEN:
            raise StereoSpotError(
                ErrorCode.MISCONFIGURED,
                f"The workers may not read {name} in {bucket}: give their role "
                "s3:GetObject there, and s3:ListBucket, without which what is missing "
                "looks forbidden.",
            ) from error
        raise


def mark(bucket: str, name: str) -> str | None:
    """Another one for each content of the object; None when there is none."""
    try:
        head = _client().head_object(Bucket=bucket, Key=name)
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") in MISSING:
            return None
        raise
    return f"{head['ETag']}:{head['ContentLength']}"


def _client() -> S3Client:
    return boto3.client(
        "s3",
        region_name=settings.AWS_REGION,
        config=Config(connect_timeout=5, read_timeout=60, retries={"mode": "standard"}),
    )


def _copy(bucket: str, name: str, key: str, lease: Lease) -> None:
    client = _client()
    size = client.head_object(Bucket=bucket, Key=name)["ContentLength"]
    if size > settings.MAX_SOURCE_BYTES:
        limit = f"{settings.MAX_SOURCE_BYTES / 1e9:g}"
        message = f"The film is larger than the {limit} GB that are taken."
        raise StereoSpotError(ErrorCode.TOO_LARGE, message)
    store = storage.source()

    def progress(_: int) -> None:
        lease.check()

    if isinstance(store, storage.Bucket):
        client.copy(
            {"Bucket": bucket, "Key": name},
            store.bucket_name,
            key,
            Callback=progress,
        )
        return
    with storage.temporary_dir() as folder:
        path = folder / "film"
        client.download_file(bucket, name, str(path), Callback=progress)
        store.put(key, path)
