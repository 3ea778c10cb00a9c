"""File names: what a person's file is called here, and ours on a person's disk."""

from __future__ import annotations

import mimetypes
import re
from pathlib import PurePath

from apps.jobs.models import Job
from contract.modes import StereoMode

# Players choose the layout by the file's name: these are the endings they know.
_LAYOUTS = {
    StereoMode.SBS: "3D_LRF_Full_SBS",
    StereoMode.HALF_SBS: "3D_LR_HSBS",
    StereoMode.TAB: "3D_Full_TB_TAB",
    StereoMode.HALF_TAB: "3D_TB_HTAB",
    StereoMode.ANAGLYPH: "redcyan_dubois",
}
# What some file system refuses, what ends a line, and the marks that turn the reading
# direction, with which a name can show another extension than it has.
_UNSAFE = re.compile(
    r'[\\/:*?"<>|\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]'
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
"""What ends a line, or stands for nothing; PostgreSQL has no text with a null."""
_LONGEST_TITLE = 200
_MOST_BYTES = 255
"""Of a file name, on every common file system."""
_CALLED_OTHERWISE = frozenset(
    [
        ".avi",
        ".flv",
        ".m2ts",
        ".m2v",
        ".mkv",
        ".mts",
        ".mxf",
        ".ogv",
        ".ts",
        ".vob",
        ".webm",
        ".wmv",
    ]
)
"""Endings of films that systems' tables of types lack, or take for something else."""


def is_video_name(name: str) -> bool:
    """Whether a file of this name is likely to be a film; its content decides later."""
    kind, _ = mimetypes.guess_type(name, strict=False)
    ending = PurePath(name).suffix.lower()
    return ending in _CALLED_OTHERWISE or (kind or "").startswith("video/")


def is_download_name(name: str) -> bool:
    """Whether `download_name` gives such names, one of our own films having it."""
    return PurePath(name).stem.endswith(tuple(f"_{end}" for end in _LAYOUTS.values()))


def download_name(job: Job) -> str:
    """What the final is called on a person's disk."""
    if job.is_flat:
        return _named(job, f".{job.final_extension}")
    return _named(job, f"_{_LAYOUTS[StereoMode(job.mode)]}.{job.final_extension}")


def source_name(job: Job) -> str:
    """What the source would be called there."""
    return _named(job, f".{job.source_extension}")


def source_extension(file_name: str) -> str:
    """The extension under which the source is stored; `bin` where it has no usable one."""
    extension = PurePath(file_name).suffix.removeprefix(".").lower()
    return extension if re.fullmatch(r"[a-z0-9]{1,8}", extension) else "bin"


def title_of(file_name: str) -> str:
    """The title of a film of which only the file's name is known."""
    path = PurePath(file_name)
    has_extension = f".{source_extension(file_name)}" == path.suffix.lower()
    return as_title(path.stem if has_extension else path.name) or "Untitled"


def as_title(words: str) -> str:
    """What strangers call a film, as one line that a row has room for; maybe nothing."""
    # What is no text on this machine keeps what is text of it.
    words = words.encode(errors="replace").decode()
    return " ".join(_CONTROL.sub(" ", words).split())[:_LONGEST_TITLE].strip()


def _named(job: Job, ending: str) -> str:
    title = _UNSAFE.sub("", job.title).strip(" .")
    room = _MOST_BYTES - len(ending.encode())
    title = title.encode()[:room].decode(errors="ignore").strip(" .")
    return f"{title or 'Untitled'}{ending}"
