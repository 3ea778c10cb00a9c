"""Films to send: real ones, as large as a test wants them."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.path.films import small_film


@cache
def _scene() -> bytes:
    with TemporaryDirectory() as folder:
        return small_film(Path(folder) / "scene.mp4", seconds=1).read_bytes()


def film(folder: Path, name: str = "Rain.mp4", *, megabytes: int = 0) -> Path:
    """A second of film; `megabytes` of padding, which every player skips, behind it."""
    path = folder / name
    path.write_bytes(_scene())
    if megabytes:
        size = megabytes * 1024**2
        with path.open("ab") as file:
            file.write(size.to_bytes(4, "big") + b"free" + bytes(size - 8))
    return path
