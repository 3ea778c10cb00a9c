"""Windows over a stream: some items of one's own, and their neighbours for context."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Window(Generic[T]):
    items: tuple[T, ...]
    """These own items and their neighbours on either side, in order."""
    own: range
    """Numbers of the own ones among the items."""


def windows(
    stream: Iterable[T], *, own: range, size: int, context: int
) -> Iterator[Window[T]]:
    """Cut a stream into windows of up to `size` own items.

    Items whose number is in `own` come as such exactly once each, the others only as
    neighbours. Each has `context` neighbours on either side, fewer only where the stream
    begins or ends. Kept is what a window needs, read no more: flat in the stream's length.
    """
    near: deque[T] = deque()
    oldest = 0  # number of near[0]
    read = 0
    done = own.start

    def take(count: int) -> Window[T]:
        nonlocal oldest, done
        while oldest < done - context:
            near.popleft()
            oldest += 1
        before = done - oldest
        done += count
        chosen = tuple(near)[: before + count + context]
        return Window(chosen, range(before, before + count))

    for item in stream:
        near.append(item)
        read += 1
        if done + size <= own.stop and read >= done + size + context:
            yield take(size)
    while done < min(own.stop, read):
        yield take(min(size, own.stop - done, read - done))
