"""Networks from files that are here: all of their weights, or an error that says so.

The libraries fill what a file lacks with random numbers, and leave out what they have no
place for, with a warning at most.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator
from pathlib import Path
from textwrap import shorten
from typing import Any

from inference.memory import is_out_of_memory
from inference.weights import whole

SHOWN = 3
"""Tensors that a sentence names."""

LONGEST = 160
"""Characters of what a library says: they go on with advice to those who program."""


def loaded(kind: Any, folder: Path, **options: Any) -> Any:
    """A network of the folder's weights, all of them and nothing else, ready to infer.

    `kind` is a class of diffusers or transformers. StereoSpotError(WEIGHTS_CORRUPT) as
    `readable` says; what they know to be left over from older versions of their own does
    not count.
    """
    _say_nothing_but_lines(kind)
    with readable(folder):
        network, report = kind.from_pretrained(
            folder,
            local_files_only=True,
            use_safetensors=True,
            output_loading_info=True,
            **options,
        )
    # Tensors of another shape they refuse by themselves.
    for fault in ("missing", "unexpected"):
        if names := report[f"{fault}_keys"]:
            first = ", ".join(sorted(map(str, names))[:SHOWN])
            raise whole.corrupt(folder, f"{fault} tensors: {len(names)}, {first}")
    return network.eval().requires_grad_(False)


def _say_nothing_but_lines(kind: Any) -> None:
    """No bars of the library's own in the log of a server, whose lines are JSON."""
    library = kind.__module__.partition(".")[0]
    importlib.import_module(f"{library}.utils.logging").disable_progress_bar()


@contextlib.contextmanager
def readable(folder: Path) -> Iterator[None]:
    """StereoSpotError(WEIGHTS_CORRUPT) where the libraries cannot make sense of a folder.

    A config is a program of a kind, so a wrong one fails in any way: with `[]` for an
    object, with an unknown name, with a division by zero. What is wrong with the machine,
    not with the files, stays what it is: too little memory, a library that is not there.
    """
    try:
        yield
    except ImportError:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise
        reason = shorten(f"{type(error).__name__}: {error}", LONGEST, placeholder=" …")
        raise whole.corrupt(folder, reason) from error
