"""Stretches of a shot that a video network sees at once, each with frames of the last.

As published for StereoCrafter: chunks of 23 frames, of which the first 3 were made with the
chunk before. A last chunk that would be shorter reaches further back instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar


class InShot(Protocol):
    @property
    def begins_shot(self) -> bool: ...


T = TypeVar("T", bound=InShot)


@dataclass(frozen=True, slots=True)
class Chunk(Generic[T]):
    fresh: tuple[T, ...]
    """In order; every item of the stream is fresh in one chunk."""
    reused: int
    """How many items of the same shot, right before the fresh ones, are seen with them."""


def chunks(
    stream: Iterable[T], *, size: int, overlap: int, tail: int
) -> Iterator[Chunk[T]]:
    """Cut a stream into chunks of `size` items, `overlap` of them reused; none over a cut.

    Kept are the fresh items of one chunk: flat in the stream's length. Shots of any length
    from 1 item will do. A shot's only chunk may be shorter than `size`. A last one with
    fewer than `size - overlap` fresh items has `tail` items, which is from
    `size - overlap` to `size`; the others are reused.
    """
    fresh: list[T] = []
    number = 0  # of the chunk in its shot

    def take() -> Chunk[T]:
        nonlocal number
        chosen = tuple(fresh)
        fresh.clear()
        number += 1
        if number == 1:
            return Chunk(chosen, 0)
        is_last = len(chosen) < size - overlap
        reused = tail - len(chosen) if is_last else overlap
        return Chunk(chosen, reused)

    for item in stream:
        if item.begins_shot:
            if fresh:
                yield take()
            number = 0
        fresh.append(item)
        if len(fresh) == (size if number == 0 else size - overlap):
            yield take()
    if fresh:
        yield take()
