"""Many films that lie on this machine: so many at once, each as `convert` does one.

The ledger knows what is done, so the same batch again goes on where it stopped. One
film's failure is that film's alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from apps.jobs import local
from apps.jobs.models import Job
from apps.jobs.names import is_download_name, is_video_name, title_of
from contract.errors import StereoSpotError

VIDEOS = "*"
"""The pattern for every file that is called like a film."""


def films_in(folder: Path, pattern: str = VIDEOS, *, target: Path) -> Iterator[Path]:
    """The films below a folder whose names match, in order; none that we have made.

    What is hidden or being written by a browser or by us is left out.
    """
    made = target.resolve()
    for path in sorted(folder.glob(pattern)):
        is_named = pattern != VIDEOS or is_video_name(path.name)
        is_ours = made in path.resolve().parents and is_download_name(path.name)
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if is_named and not is_ours and not hidden and path.is_file():
            yield path


def title_among(source: Path) -> str:
    """The title of a film in a folder: a name that no other film there is given."""
    alike = [path for path in source.parent.iterdir() if path.stem == source.stem]
    return title_of(source.name) if alike == [source] else source.name


def target_in(target: Path, source: Path, *, folder: Path) -> Path:
    """The folder for a film's final, which lies below `target` as the film in `folder`."""
    into = target / source.parent.relative_to(folder)
    into.mkdir(parents=True, exist_ok=True)
    return into


@dataclass(frozen=True, slots=True)
class Outcome:
    source: Path
    target: Path | None = None
    seconds: float = 0.0
    """From its first sight to its end."""
    reason: str = ""
    """Why there is no target: what must be done by whom."""


@dataclass(slots=True)
class Batch:
    """Films on their way. Call `step` every second or so."""

    request: Callable[[Path], local.Request]
    """What is asked for one film; raises `local.RefusedError`."""
    at_once: int
    skip: Callable[[local.Request], bool] = lambda request: False
    """Whether there is nothing to do for a film, and nothing to say of it."""
    _waiting: deque[Path] = field(default_factory=deque)
    _running: dict[Path, tuple[local.Request, Job]] = field(default_factory=dict)

    def add(self, films: Iterable[Path]) -> None:
        self._waiting.extend(films)

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def is_idle(self) -> bool:
        return not self._waiting and not self._running

    @property
    def running(self) -> list[Job]:
        return [job for _, job in self._running.values()]

    def step(self) -> Iterator[Outcome]:
        """Start what may start, look at what runs; what has ended since."""
        while self._waiting and len(self._running) < self.at_once:
            source = self._waiting.popleft()
            try:
                request = self.request(source)
                if self.skip(request):
                    continue
                self._running[source] = request, local.begin(request)
            except (local.RefusedError, StereoSpotError, OSError) as error:
                yield Outcome(source, reason=_reason(error))
        for source, (request, job) in list(self._running.items()):
            job.refresh_from_db()
            if job.is_over:
                del self._running[source]
                yield _ended(source, request, job)


def _ended(source: Path, request: local.Request, job: Job) -> Outcome:
    try:
        target = local.delivered(job, request)
    except (local.RefusedError, StereoSpotError) as error:
        return Outcome(source, reason=_reason(error))
    seconds = ((job.finished_at or job.created_at) - job.created_at).total_seconds()
    return Outcome(source, target, seconds)


def _reason(error: Exception) -> str:
    if isinstance(error, StereoSpotError):
        return f"{error} [{error.code}]"
    return str(error)
