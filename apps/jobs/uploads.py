"""How a film comes in: begin, sign each part, complete. Pages and API both call this.

    job = begin(job, film=File("Rain.mkv", 8_400_000_000), request_id=uuid4())
    for upload in job.uploads.all():           # the film, maybe a depth video
        missing = missing_parts(upload)        # all of them at first, fewer on a resume
        for number in missing:
            url = sign_part(upload, number)    # PUT exactly upload.length_of(number) bytes
        complete(upload)                       # after the last one the job starts
    abandon(job)                               # instead: no object is left, then no row

`sign_part` takes nothing from the client but the number of a part: where it goes follows
from the upload's own row. On a bucket the address is the bucket's; on a disk it is ours
(`receive` is its other end), and it needs no cookie: it is signed for this one part.

All of it is safe to do twice, or by two at once. Everything raises `StereoSpotError`
(`contract/errors.py`), whose message is for the person. Who may do what to which job is
the caller's to check (`views.access.visible_job`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import User
from django.core import signing
from django.urls import reverse
from django.utils.timezone import now

from apps.jobs import ledger, storage
from apps.jobs.models import Job, Upload
from apps.jobs.names import source_extension, title_of
from apps.jobs.once import once
from apps.jobs.parts import URL_SECONDS, BucketParts, DiskParts, over, parts_of
from apps.jobs.sending import after_commit
from apps.jobs.templatetags.words import size as said_size
from apps.pipeline import messages
from contract.errors import ErrorCode, StereoSpotError

PART_BYTES = 16 * 1024**2
MOST_PARTS = 10_000
"""Of one object, in S3."""
MOST_RESUMABLE = 20
_SALT = "apps.jobs.uploads"


@dataclass(frozen=True, slots=True)
class File:
    """A file that somebody wants to send, as it is where it lies now."""

    name: str
    size: int
    modified: int | None = None
    """Milliseconds since 1970; what is known of it makes a resume surer."""


def begin(
    job: Job, *, film: File, depth: File | None = None, request_id: UUID | None = None
) -> Job:
    """Save a new job that waits for its files; `job` says owner, mode, engine and the like.

    Its title and the extensions come from the files' names. The same request again gives
    the job of the first time (`once`), with whatever a fault or a crash left undone then.
    """
    files = {Upload.Kind.FILM: film} | ({Upload.Kind.DEPTH: depth} if depth else {})
    for file in files.values():
        _refuse(file)
    job.request_id = request_id
    job.title = job.title or title_of(film.name)
    job.source_extension = source_extension(film.name)
    job.depth_extension = source_extension(depth.name) if depth else ""
    brought = [_upload(job, kind, file) for kind, file in files.items()]

    def save() -> None:
        ledger.create(job)
        Upload.objects.bulk_create(brought)

    made = once(job, save, brought=brought)
    # The rows come first: what a crash leaves in the store is found by them.
    try:
        for upload in made.uploads.filter(arrived_at=None):
            _open(upload)
    except BaseException:
        if ledger.take_back(made.pk):
            after_commit(messages.send_tidy, made.pk)
        raise
    return made


def unfinished(job: Job, kind: str) -> Upload:
    """The upload of this kind, while the job waits for its files."""
    upload = job.uploads.filter(kind=kind, arrived_at=None).first()
    if upload is None or job.status != Job.Status.CREATED:
        raise over()
    _open(upload)
    return upload


def missing_parts(upload: Upload) -> list[int]:
    """Numbers, counted from 1, of the parts that are still to be sent."""
    return _missing(upload, _arrived(upload))


def sign_part(upload: Upload, number: int) -> str:
    """Where to `PUT` part `number`; the address serves for an hour."""
    if not 1 <= number <= upload.part_count:
        raise StereoSpotError(
            ErrorCode.BAD_REQUEST, f"This file has parts 1 to {upload.part_count}."
        )
    Upload.objects.filter(pk=upload.pk).update(touched_at=now())
    parts = parts_of(storage.source())
    if isinstance(parts, BucketParts):
        with storage.translated():
            return parts.address(upload, number)
    return reverse("upload-part", args=[signing.dumps([upload.pk, number], salt=_SALT)])


def signed_part(token: str) -> tuple[Upload, int]:
    """For which part of which upload the end of a signed address of ours is good."""
    try:
        pk, number = signing.loads(token, salt=_SALT, max_age=URL_SECONDS)
    except signing.BadSignature as error:
        raise StereoSpotError(
            ErrorCode.UNAUTHORIZED, "This address has expired: ask for a new one."
        ) from error
    upload = Upload.objects.select_related("job").filter(pk=pk).first()
    if upload is None:
        raise over()
    return unfinished(upload.job, upload.kind), number


def receive(upload: Upload, number: int, read: Callable[[int], bytes]) -> None:
    """Take a part from a stream that holds nothing but it; flat in memory."""
    parts = parts_of(storage.source())
    if not isinstance(parts, DiskParts):
        raise over()
    with storage.translated():
        parts.write(upload, number, read)


def complete(upload: Upload) -> bool:
    """Make the object whole; whether this was the job's last file, so that it starts.

    Raises `StereoSpotError` with `UPLOAD_INCOMPLETE` while parts are missing.
    """
    job = upload.job
    store = storage.source()
    if storage.size(store, upload.key) != upload.size:
        arrived = _arrived(upload)
        if missing := _missing(upload, arrived):
            raise StereoSpotError(
                ErrorCode.UPLOAD_INCOMPLETE,
                f"{len(missing)} of {upload.part_count} parts are missing: send them.",
            )
        with storage.translated():
            parts_of(store).finish(upload)
        if storage.size(store, upload.key) != upload.size:
            raise StereoSpotError(
                ErrorCode.UPLOAD_INCOMPLETE, "The file is not whole: send it again."
            )
    started = ledger.note_arrived(upload)
    if started:
        job.refresh_from_db()
        after_commit(messages.send_stage, job)
    return started


def abandon(job: Job) -> bool:
    """Forget a job that has not started: its parts go, then its row."""
    deleted = ledger.delete_waiting(job.pk)
    if deleted:
        after_commit(messages.send_tidy, job.pk)
    return deleted


def origin() -> str:
    """Where else than to our own address parts are sent; empty when they are not."""
    parts = parts_of(storage.source())
    if not isinstance(parts, BucketParts):
        return ""
    with storage.translated():
        return parts.origin()


def waiting_for(job: Job) -> list[str]:
    """The kinds of files that are still to come before the job starts."""
    return list(job.uploads.filter(arrived_at=None).values_list("kind", flat=True))


def resumable(user: User) -> list[Upload]:
    """What a person has begun to send and may go on with, the latest first."""
    begun = Upload.objects.filter(
        arrived_at=None, job__owner=user, job__status=Job.Status.CREATED
    )
    return list(begun.select_related("job").order_by("-touched_at")[:MOST_RESUMABLE])


def _refuse(file: File) -> None:
    if file.size < 1:
        raise StereoSpotError(
            ErrorCode.EMPTY_FILE, f"{file.name} is empty: choose another file."
        )
    if file.size > settings.MAX_SOURCE_BYTES:
        raise StereoSpotError(
            ErrorCode.TOO_LARGE,
            f"{file.name} has {said_size(file.size)}, and at most "
            f"{said_size(settings.MAX_SOURCE_BYTES)} are accepted.",
        )


def _upload(job: Job, kind: Upload.Kind, file: File) -> Upload:
    # Whole units, and not so small that there would be more parts than S3 takes.
    units = -(-file.size // (MOST_PARTS * PART_BYTES))
    return Upload(
        job=job,
        kind=kind,
        name=file.name.replace("\0", "")[:255],
        size=file.size,
        modified=file.modified,
        part_bytes=units * PART_BYTES,
    )


def _open(upload: Upload) -> None:
    """Let the store take parts, if it does not yet; of many at once one opens it."""
    if upload.handle or upload.job.status != Job.Status.CREATED:
        return
    with storage.translated():
        handle = parts_of(storage.source()).begin(upload.key, upload.size)
    Upload.objects.filter(pk=upload.pk, handle="").update(handle=handle)
    upload.refresh_from_db(fields=["handle"])


def _arrived(upload: Upload) -> dict[int, int]:
    if not upload.handle:
        return {}
    with storage.translated():
        return parts_of(storage.source()).arrived(upload)


def _missing(upload: Upload, arrived: dict[int, int]) -> list[int]:
    numbers = range(1, upload.part_count + 1)
    return [n for n in numbers if arrived.get(n) != upload.length_of(n)]
