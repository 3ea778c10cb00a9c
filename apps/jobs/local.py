"""Films that lie on this machine: used in place, and handed back as a file.

`convert` is the reader: a request is checked before anything starts, becomes a job or
finds the one that it began before, and in the end gets the final.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from apps.jobs import ledger, storage
from apps.jobs.accounts import administrator
from apps.jobs.models import Job
from apps.jobs.names import download_name, source_extension, title_of
from apps.pipeline import messages, retrying
from contract.modes import Engine, StereoMode, StereoSettings


class RefusedError(Exception):
    """The request cannot be met; the message says what the person must do."""


@dataclass(frozen=True, slots=True)
class Request:
    source: Path
    target: Path
    mode: StereoMode
    engine: Engine
    settings: StereoSettings
    depth: Path | None = None
    """A depth video in place of the engine's own estimate."""
    title: str = ""
    """Empty: by the source's name."""

    @classmethod
    def checked(
        cls,
        source: Path,
        target: Path,
        *,
        mode: str,
        engine: str,
        max_disparity: float,
        convergence: float,
        depth: Path | None = None,
        reference: bool = False,
        title: str = "",
    ) -> Request:
        """Raises `RefusedError`."""
        try:
            stereo = StereoSettings(
                max_disparity=max_disparity,
                convergence=convergence,
                reference=reference,
            )
        except ValidationError as error:
            first = error.errors()[0]
            raise RefusedError(f"{first['loc'][0]}: {first['msg']}.") from error
        chosen = Engine(_one_of(engine, list(Engine), "engine"))
        if reference and not chosen.has_reference:
            published = ", ".join(each for each in Engine if each.has_reference)
            raise RefusedError(
                f"No algorithm is published for the engine {chosen}: --reference goes "
                f"with --engine {published}."
            )
        _refuse_files(target, source, *([] if depth is None else [depth]))
        return cls(
            source.resolve(),
            target,
            StereoMode(_one_of(mode, list(StereoMode), "mode")),
            chosen,
            stereo,
            depth and depth.resolve(),
            title,
        )

    @property
    def fingerprint(self) -> str:
        """The same for the same files with the same settings."""
        facts = (
            *(*_identity(self.source), self.mode, self.engine),
            self.settings.model_dump_json(),
            *([] if self.depth is None else _identity(self.depth)),
        )
        return hashlib.sha256(repr(facts).encode()).hexdigest()


def begin(request: Request) -> Job:
    """The job of this request: a new one, or the one of an earlier run."""
    job = _known(request) or _new(request)
    if job.status == Job.Status.CREATED:
        with storage.translated():
            storage.source().adopt(job.source_key, request.source)
            if request.depth is not None and job.depth_key is not None:
                storage.source().adopt(job.depth_key, request.depth)
        if ledger.start(job.pk):
            messages.send_stage(Job.objects.get(pk=job.pk))
    elif again := retrying.retry(job.pk):
        messages.send_retry(again)
    job.refresh_from_db()
    return job


def delivered(job: Job, request: Request) -> Path:
    """The final of a job that is over, where it was asked for; its path.

    Whole or not at all, and left alone where it is already. Raises `RefusedError` when
    there is none, with the reason, and `StereoSpotError`.
    """
    if job.status != Job.Status.COMPLETED:
        reason = job.error_message or f"It was {job.get_status_display().lower()}."
        code = f" [{job.error_code}]" if job.error_code else ""
        raise RefusedError(f"{request.source.name}: {reason}{code}")
    target = request.target
    if target.is_dir():
        target = target / download_name(job)
    # Its streams decide the container: another name would make players stumble.
    wanted = f".{job.final_extension}"
    is_named_so = target.suffix.lower() == wanted
    renamed = target if is_named_so else target.with_suffix(wanted)
    with storage.translated(), storage.result().local(job.final_key) as final:
        if _is_copy(renamed, final):
            return renamed
        if not is_named_so and renamed.exists():
            raise RefusedError(
                f"This film's sound and subtitles need a {wanted} file, and {renamed} "
                f"exists already: name a {wanted} target."
            )
        _copy(final, renamed)
    ledger.note_delivered(job.pk, str(renamed))
    return renamed


def was_delivered(request: Request) -> bool:
    """Whether an earlier run has put this film's final where it was asked for."""
    jobs = Job.objects.filter(fingerprint=request.fingerprint)
    return jobs.filter(status=Job.Status.COMPLETED, events__kind="delivered").exists()


def _is_copy(target: Path, final: Path) -> bool:
    """Whether the target is what `_copy` made of the final, as far as their facts tell."""
    try:
        there = target.stat()
    except OSError:
        return False
    made = final.stat()
    return (there.st_size, there.st_mtime_ns) == (made.st_size, made.st_mtime_ns)


def _copy(final: Path, target: Path) -> None:
    part = target.with_name(f".{target.name}.part")
    try:
        shutil.copyfile(final, part)
        made = final.stat()
        os.utime(part, ns=(made.st_atime_ns, made.st_mtime_ns))
        part.replace(target)
    except OSError as error:
        raise RefusedError(
            f"{target} could not be written ({error.strerror}). The film is "
            "converted: make room or name another target, and run this again."
        ) from error
    finally:
        part.unlink(missing_ok=True)


def _new(request: Request) -> Job:
    job = Job(
        owner=administrator(),
        title=request.title or title_of(request.source.name),
        mode=request.mode,
        engine=request.engine,
        max_disparity=request.settings.max_disparity,
        convergence=request.settings.convergence,
        reference=request.settings.reference,
        source_extension=source_extension(request.source.name),
        depth_extension=source_extension(request.depth.name) if request.depth else "",
        fingerprint=request.fingerprint,
    )
    ledger.create(job)
    return job


def _known(request: Request) -> Job | None:
    known = Job.objects.filter(fingerprint=request.fingerprint)
    job = known.exclude(status=Job.Status.CANCELLED).order_by("-created_at").first()
    if job is None or job.status != Job.Status.COMPLETED:
        return job
    return job if storage.size(storage.result(), job.final_key) else None


def _identity(path: Path) -> tuple[object, ...]:
    stat = path.stat()
    return path, stat.st_size, stat.st_mtime_ns


def _refuse_files(target: Path, *brought: Path) -> None:
    """Raises `RefusedError` unless all that is brought can be read, and the target written."""
    for path in brought:
        if not storage.is_readable(path):
            raise RefusedError(f"{path} cannot be read: check the name and its rights.")
    _refuse_unwritable(target)
    for path in brought:
        if target.exists() and target.samefile(path):
            raise RefusedError(f"The target is {path} itself: name another file.")


def _refuse_unwritable(target: Path) -> None:
    folder = target if target.is_dir() else target.parent
    try:
        with contextlib.ExitStack() as stack:
            stack.enter_context(tempfile.TemporaryFile(dir=folder))
            if target.is_file():
                stack.enter_context(target.open("ab"))
    except OSError as error:
        raise RefusedError(
            f"{target} cannot be written ({error.strerror}): choose another target."
        ) from error


def _one_of(value: str, known: list[str], what: str) -> str:
    if value not in known:
        raise RefusedError(f"Unknown {what} {value!r}: choose {', '.join(known)}.")
    return value
