"""Whether files are whole, and which they are, without reading all of them.

And what helps where they are not.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from safetensors import SafetensorError, safe_open

from contract.errors import ErrorCode, StereoSpotError

CACHED = "models--"
"""How the names of the hub's folders begin in its cache, one for each repository."""

SAMPLE = 2**20
"""Bytes of either end of a file that tell it from others of its size."""


def check(files: Iterable[Path]) -> None:
    """StereoSpotError(WEIGHTS_CORRUPT) for the first file that is not whole.

    Weights name each tensor's place in the file, so a file that was cut short, or is
    an error page, shows; single wrong bytes inside do not.
    """
    for file in files:
        if fault := _fault(file):
            raise corrupt(file, fault)


def corrupt(path: Path, fault: str) -> StereoSpotError:
    """The error for a file, or a folder of a network, that cannot be used."""
    return StereoSpotError(
        ErrorCode.WEIGHTS_CORRUPT, f"{path} cannot be used ({fault}). {_remedy(path)}"
    )


def _remedy(path: Path) -> str:
    """In the hub's cache, files are links to what another folder holds: without all of
    the repository's folder, what is damaged would be found there again."""
    for folder in path.parents:
        if folder.name.startswith(CACHED):
            return f"Remove {folder}: the next start fetches it again."
    return "Copy it there again, from the repository that it came from."


def _fault(file: Path) -> str:
    try:
        if file.suffix == ".safetensors":
            with safe_open(file, framework="np") as tensors:
                return "" if tensors.keys() else "no tensors in it"
        is_object = isinstance(json.loads(file.read_bytes()), dict)
        return "" if is_object else "no JSON object"
    except (SafetensorError, OSError, ValueError) as error:
        return str(error).splitlines()[0]


def fingerprint(files: Iterable[Path]) -> str:
    """40 hexadecimal digits, of the files' order, sizes and ends."""
    digest = hashlib.sha256()
    for path in files:
        size = path.stat().st_size
        digest.update(size.to_bytes(8, "little"))
        with path.open("rb") as file:
            digest.update(file.read(SAMPLE))
            file.seek(max(0, size - SAMPLE))
            digest.update(file.read())
    return digest.hexdigest()[:40]
