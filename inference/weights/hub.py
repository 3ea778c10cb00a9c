"""Files from the Hugging Face hub, kept in its cache; what goes wrong, in sentences."""

from __future__ import annotations

import contextlib
import errno
import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from httpx2 import HTTPError
from huggingface_hub import (
    HfApi,
    constants,
    snapshot_download,
)
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
    XetDownloadError,
)
from tqdm.auto import tqdm

from contract.errors import ErrorCode, StereoSpotError
from inference import heartbeat
from inference.weights import Located, Repository, names_in, pins, token, whole
from inference.weights.token import Token

log = logging.getLogger(__name__)

ANSWER_SECONDS = 30.0
"""For the hub to answer a question; downloads have `HF_HUB_DOWNLOAD_TIMEOUT`."""

ABANDONED_SECONDS = 24 * 3600.0
"""Without a byte, after which a download is not alive any more."""


def located(repo: Repository) -> Located:
    """The repository's files at its pinned revision, from the cache or from the hub.

    What is here already is not asked for again: a machine whose cache is full needs no
    network. Files that are whole are kept when another one fails, and a connection that
    breaks goes on where it broke. Raises as `inference.weights.fetch`.
    """
    commit = pins.pinned(repo)
    found = commit and _cached(repo, commit)
    if not commit or not found:
        commit = _fetched(repo, commit)
        found = _cached(repo, commit)
        if found is None:
            message = (
                f"{repo.name} was fetched, and is not in {constants.HF_HUB_CACHE}."
            )
            raise StereoSpotError(ErrorCode.WEIGHTS_CORRUPT, message)
    whole.check(found.files)
    log.info("%s at %s", repo.name, commit)
    return found


def _fetched(repo: Repository, commit: str | None) -> str:
    """Bring the files into the cache; their commit, the newest if none is given.

    Where the hub refuses the token and another one has taken its place by now, that one
    gets its turn.
    """
    known = token.read()
    try:
        return _downloaded(repo, commit, known)
    except StereoSpotError as refusal:
        if refusal.code is not ErrorCode.WEIGHTS_FORBIDDEN:
            raise
        newer = token.read()
        if newer.value in (None, known.value):
            raise
    log.info("The hub refused the token; there is another one now: trying that")
    return _downloaded(repo, commit, newer)


def _downloaded(repo: Repository, commit: str | None, known: Token) -> str:
    with _in_words(repo, known):
        _tidy(repo)
        commit, names = _described(repo, commit, known.value)
        held = pins.pin(repo, commit)
        if held != commit:  # another process has pinned it meanwhile
            commit, names = _described(repo, held, known.value)
        snapshot_download(
            repo.name,
            revision=commit,
            allow_patterns=names,
            token=known.value or False,
            tqdm_class=Progress,
        )
        return commit


def _described(
    repo: Repository, commit: str | None, secret: str | None
) -> tuple[str, list[str]]:
    """The commit, the newest if none is given, and the names of our files in it."""
    # False: the client is not to find a token itself, one that we hold for useless.
    info = HfApi(token=secret or False).model_info(
        repo.name, revision=commit, files_metadata=True, timeout=ANSWER_SECONDS
    )
    sizes = {file.rfilename: file.size or 0 for file in info.siblings or ()}
    found = repo.complete(sizes)
    if found is None or info.sha is None:
        raise StereoSpotError(
            ErrorCode.WEIGHTS_CORRUPT,
            f"{repo.name} at {info.sha} has no {', '.join(repo.files)}: name another "
            f"revision in {pins.OVERRIDES}.",
        )
    size = sum(sizes[name] for name in found.names)
    log.info("Fetching %s at %s, %.2f GB", repo.name, info.sha, size / 1e9)
    return info.sha, found.names


def _tidy(repo: Repository) -> None:
    """Remove what downloads have left that were killed: nobody goes on with it.

    Each download writes to a file of its own name, so those of others are left alone for
    as long as they could be alive.
    """
    dead = time.time() - ABANDONED_SECONDS
    for part in (_cache_of(repo) / "blobs").glob("*.incomplete"):
        with contextlib.suppress(FileNotFoundError):  # another one tidies as well
            if part.stat().st_mtime < dead:
                part.unlink()
                log.info("Removed %s, which a killed download left", part)


def _cached(repo: Repository, commit: str) -> Located | None:
    """All the files, where every one of them is in the cache."""
    snapshot = _cache_of(repo) / "snapshots" / commit
    found = repo.complete(names_in(snapshot))
    if found is None:
        return None
    files = tuple(snapshot / name for name in found.names)
    return Located(snapshot / found.root, files, commit)


def _cache_of(repo: Repository) -> Path:
    name = whole.CACHED + repo.name.replace("/", "--")
    return Path(constants.HF_HUB_CACHE) / name


@contextlib.contextmanager
def _in_words(repo: Repository, known: Token) -> Iterator[None]:
    try:
        yield
    except (HTTPError, OSError, EntryNotFoundError, XetDownloadError) as error:
        raise StereoSpotError(*_explained(repo, error, known)) from error


def _explained(
    repo: Repository, error: BaseException, known: Token
) -> tuple[ErrorCode, str]:
    """Who must do what. The hub's client wraps what happened, so causes count too."""
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT):
            return ErrorCode.DISK_FULL, (
                f"No room for the weights of {repo.name} in {constants.HF_HUB_CACHE}: "
                "free some space there, or set HF_HOME to a larger disk."
            )
        if isinstance(cause, OSError) and cause.errno in (errno.EACCES, errno.EROFS):
            return ErrorCode.WEIGHTS_CORRUPT, (
                f"{cause.filename} cannot be written ({cause.strerror}): set HF_HOME to "
                "a folder that can."
            )
        if isinstance(cause, GatedRepoError) or _status(cause) in (401, 403):
            return _forbidden(repo, known)
        if isinstance(cause, RepositoryNotFoundError):
            return ErrorCode.WEIGHTS_FORBIDDEN, (
                f"The hub shows no {repo.name}: it is private, or gone. Set HF_TOKEN to "
                "a token that may read it."
            )
        if isinstance(cause, RevisionNotFoundError) or _status(cause) == 404:
            return ErrorCode.WEIGHTS_CORRUPT, (
                f"{repo.name} no longer has the revision {pins.pinned(repo)}, or a file "
                f"of it: name another in {pins.OVERRIDES}."
            )
        if isinstance(cause, OfflineModeIsEnabled):
            return ErrorCode.WEIGHTS_CORRUPT, (
                f"The weights of {repo.name} are not on this machine, and HF_HUB_OFFLINE "
                f"is set: {_FROM_ELSEWHERE}"
            )
    return ErrorCode.WEIGHTS_UNREACHABLE, (
        f"{repo.name} cannot be fetched from {constants.ENDPOINT} "
        f"({_first_line(causes[-1])}). Without a network, {_FROM_ELSEWHERE}"
    )


_FROM_ELSEWHERE = (
    "run `python -m inference.weights ENGINE` on another machine and copy its HF_HOME."
)


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__


def _status(error: BaseException) -> int | None:
    if not isinstance(error, HfHubHTTPError) or isinstance(
        error, LocalEntryNotFoundError
    ):
        return None
    return error.response.status_code


def _forbidden(repo: Repository, known: Token) -> tuple[ErrorCode, str]:
    page = f"{constants.ENDPOINT}/{repo.name}"
    if known.fault is not None:
        return known.fault.code, f"{repo.name} needs a token. {known.fault}"
    if known.value is None:
        return ErrorCode.WEIGHTS_FORBIDDEN, (
            f"{repo.name} is for known people only: accept its licence at {page}, and "
            "set HF_TOKEN to a token of that account."
        )
    return ErrorCode.WEIGHTS_FORBIDDEN, (
        f"The hub refuses the token in {known.source} for {repo.name}: accept the "
        f"licence at {page} with the account of the token, or set another one."
    )


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


class Progress(tqdm):  # type: ignore[type-arg]
    """What the hub's client tells its bars, as a line of the log every so often."""

    every: ClassVar[float] = 10.0
    """Seconds between two lines."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **(kwargs | {"disable": True}))
        self._counts_bytes = kwargs.get("unit") == "B"
        self._said = time.monotonic()
        self._beat = heartbeat.listener()

    def update(self, n: float | None = 1) -> bool | None:
        self._beat()
        self.n += n or 0
        if self._counts_bytes and time.monotonic() >= self._said + self.every:
            self._said = time.monotonic()
            log.info("%.2f of %.2f GB", self.n / 1e9, (self.total or 0) / 1e9)
        return None
