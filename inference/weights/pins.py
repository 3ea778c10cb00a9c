"""Which revision of a repository is used: named by the environment, by us, or at first use.

`weights.lock.json` in the hub's cache remembers the last kind, so that a film is never
made half with yesterday's weights and half with today's.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from pathlib import Path

from huggingface_hub import constants

from contract.errors import ErrorCode, StereoSpotError
from inference.weights import Repository

OVERRIDES = "STEREOSPOT_WEIGHTS_REVISIONS"
"""`owner/name=commit`, by commas."""


def lock_file() -> Path:
    return Path(constants.HF_HUB_CACHE) / "weights.lock.json"


def pinned(repo: Repository) -> str | None:
    """The commit to use; None before the first use of a repository that has no other pin.

    StereoSpotError: MISCONFIGURED where the environment names no commit,
    WEIGHTS_CORRUPT where the lock cannot be read.
    """
    return _overridden(repo) or repo.revision or _read(lock_file()).get(repo.name)


def pin(repo: Repository, commit: str) -> str:
    """Use this commit from now on, where nothing else says which; the one to be used.

    The first to record one wins: processes may start side by side.
    """
    if given := _overridden(repo) or repo.revision:
        return given
    path = lock_file()
    with path.with_suffix(".held").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        commits = {repo.name: commit} | _read(path)
        part = path.with_suffix(".part")
        part.write_text(json.dumps(commits, indent=2, sort_keys=True) + "\n")
        part.replace(path)
    return commits[repo.name]


def _overridden(repo: Repository) -> str | None:
    for entry in filter(None, os.environ.get(OVERRIDES, "").split(",")):
        name, _, commit = entry.strip().partition("=")
        if not re.fullmatch("[0-9a-f]{40}", commit):
            raise StereoSpotError(
                ErrorCode.MISCONFIGURED,
                f"{OVERRIDES}: {entry!r} is not owner/name=commit, a commit of 40 "
                "hexadecimal digits.",
            )
        if name == repo.name:
            return commit
    return None


def _read(path: Path) -> dict[str, str]:
    try:
        commits = json.loads(path.read_text())
        return {str(name): str(commit) for name, commit in commits.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError) as error:
        raise StereoSpotError(
            ErrorCode.WEIGHTS_CORRUPT,
            f"{path} cannot be read ({error}): mend it, or remove it to use the newest "
            "revisions.",
        ) from error
