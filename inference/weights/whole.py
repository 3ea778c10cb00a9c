"""Whether files are whole, and which they are, without reading all of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from safetensors import SafetensorError, safe_open

from contract.errors import ErrorCode, StereoSpotError

SAMPLE = 2**20
"""Bytes of either end of a file that tell it from others of its size."""


def check(files: Iterable[Path], *, remedy: str) -> None:
    """StereoSpotError(WEIGHTS_CORRUPT), with the remedy, for the first that is not whole.

    Weights name each tensor's place in the file, so a file that was cut short, or is
    an error page, shows; single wrong bytes inside do not.
    """
    for file in files:
        if fault := _fault(file):
            raise StereoSpotError(
                ErrorCode.WEIGHTS_CORRUPT, f"{file} is not whole ({fault}). {remedy}"
            )


def _fault(file: Path) -> str:
    try:
        if file.suffix == ".safetensors":
            with safe_open(file, framework="np") as tensors:
                return "" if tensors.keys() else "no tensors in it"
        json.loads(file.read_bytes())
    except (SafetensorError, OSError, ValueError) as error:
        return str(error).splitlines()[0]
    return ""


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
