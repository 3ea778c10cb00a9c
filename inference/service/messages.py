"""What the server and the child that converts say to each other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from contract.generation import Generated, Generation
from contract.invocation import Completed, Failed, Invocation
from inference.service.places import Places

Asked: TypeAlias = Invocation | Generation
Done: TypeAlias = Completed | Generated


@dataclass(frozen=True, slots=True)
class Task:
    """Server → child: make this. One at a time."""

    asked: Asked
    places: Places
    folder: Path
    """For temporary files; the server removes it."""


@dataclass(frozen=True, slots=True)
class Cancel:
    """Server → child: give the running task up, and answer so."""


@dataclass(frozen=True, slots=True)
class Ready:
    """Child → server: what is to be loaded at the start is loaded."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Child → server, now and then: bytes in use."""

    resident: int
    cuda: int
    cuda_peak: int


@dataclass(frozen=True, slots=True)
class Answer:
    """Child → server: the end of the task; before `Ready`, why there is none."""

    result: Done | Failed
    pixels: int = 0
    """Of all frames together, of one eye each."""


Report: TypeAlias = Ready | Memory | Answer
