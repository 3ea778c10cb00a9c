"""Origin → source: a film that nobody brings is fetched into the store."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import structlog
from django.conf import settings

from apps.jobs import storage
from apps.jobs.models import Job
from apps.jobs.names import as_title, source_extension, title_of
from apps.pipeline.fetching import allowed, bucket, web
from apps.pipeline.leases import Lease
from apps.pipeline.media.sandbox import Allowance, Sandbox
from apps.pipeline.media.tools import find_ffmpeg
from contract.errors import ErrorCode, StereoSpotError
from contract.keys import SourceKey
from contract.origins import Dropped, Link

log = structlog.get_logger(__name__)


class Source(NamedTuple):
    """What was put into the store."""

    extension: str
    title: str


def ingest(job: Job, lease: Lease) -> Source:
    """The source, which is in the store afterwards.

    Raises `StereoSpotError`, and whatever `lease.check` does.
    """
    origin = job.get_origin()
    with storage.translated():
        match origin:
            case Link():
                return _from_link(job, origin, lease)
            case Dropped():
                ours = storage.bucket_name(storage.source()) or ""
                return _from_bucket(job, ours, origin.key, is_titled=True, lease=lease)
            case _:
                message = "The job says nowhere that its film could be fetched from."
                raise StereoSpotError(ErrorCode.INTERNAL, message)


def _from_link(job: Job, link: Link, lease: Lease) -> Source:
    allowed.link_to(link.url)  # what is allowed may have changed meanwhile
    log.info("fetching", place=link.place)
    if (there := link.bucket_and_key) is not None:
        return _from_bucket(job, *there, is_titled=link.is_titled, lease=lease)
    return _from_web(job, link, lease)


def _from_bucket(
    job: Job, name: str, key: str, *, is_titled: bool, lease: Lease
) -> Source:
    extension = source_extension(key)
    bucket.copy(name, key, str(SourceKey(job.pk, extension)), lease)
    title = job.title if is_titled else title_of(PurePosixPath(key).name)
    return Source(extension, title)


def _from_web(job: Job, link: Link, lease: Lease) -> Source:
    allowance = Allowance(
        seconds=settings.SANDBOX_SECONDS, file_size=settings.MAX_SOURCE_BYTES
    )
    with storage.temporary_dir() as folder, _cookies() as cookies:
        errand = web.Errand(
            url=link.url,
            folder=folder,
            most_bytes=settings.MAX_SOURCE_BYTES,
            most_seconds=settings.MAX_SOURCE_SECONDS,
            most_rows=settings.INGEST_MAX_HEIGHT,
            ffmpeg=Path(find_ffmpeg()),
            cookies=cookies,
            may_be_private=settings.INGEST_PRIVATE_ADDRESSES,
        )
        fetched = Sandbox(allowance, lease.check).call(web.fetch, errand)
        extension = source_extension(fetched.path.name)
        storage.source().put(str(SourceKey(job.pk, extension)), fetched.path)
    said = "" if link.is_titled else as_title(fetched.title)
    return Source(extension, said or job.title)


@contextlib.contextmanager
def _cookies() -> Iterator[Path | None]:
    """A file of the cookies that sites are shown, for as long as this lasts."""
    if settings.INGEST_COOKIES is None:
        yield None
        return
    with storage.temporary_dir() as folder:
        path = folder / "cookies"
        path.touch(mode=0o600)
        path.write_text(settings.INGEST_COOKIES.get_secret_value())
        yield path
