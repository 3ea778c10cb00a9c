"""What a process that converts segments asks of its machine: threads and memory."""

from __future__ import annotations

import ctypes

import torch

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # glibc's malloc.h
_NEVER = 1 << 30
"""Bytes in one piece, more than any picture has."""


def settle() -> None:
    """Call once, before the first segment.

    Segments are what runs in parallel, a process each. Threads inside one would fight
    the others for the cores: measured, 5 to 35 times slower on two busy cores.

    Frames are freed by other threads than those that made them, so each of glibc's
    arenas would grow to its own largest need: at 1080p 1.9 GB after four segments, and
    rising. With one arena it stays at 1.8 GB.

    Each picture would be given back to the kernel and come anew, zeroed page by page:
    a tenth of the time. `give_back_memory` does that once a segment.
    """
    torch.set_num_threads(1)
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):
        mallopt(_M_ARENA_MAX, 1)
        mallopt(_M_TRIM_THRESHOLD, _NEVER)
        mallopt(_M_MMAP_THRESHOLD, _NEVER)


def give_back_memory() -> None:
    """Call after each segment: the next one starts where the first one did.

    Without it 1.0 to 1.5 GB of 1.8 stay with an idle process, with it 0.3. Of a card,
    torch would keep all that it ever had for others to miss.
    """
    torch.cuda.empty_cache()  # nothing, where no card was used
    if malloc_trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        malloc_trim(0)
