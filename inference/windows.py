"""Windows over a stream of frames: some to convert, and their neighbours for context.

An estimator of depth wants to see what comes before and after a frame, but never at full
size. So each frame is looked at once, the small looks are kept for the context, and a
full frame only until its context has come: memory is flat in the length of the film.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Window:
    frames: tuple[Tensor, ...]
    """The frames to convert, in order, as they came."""
    looks: Tensor
    """[L, C, h, w]: looks at these frames and at their neighbours on either side."""
    own: range
    """Numbers of these frames' looks; the others are their neighbours'."""


def windows(
    frames: Iterable[Tensor],
    look: Callable[[Tensor], Tensor],
    *,
    own: range,
    size: int,
    context: int,
) -> Iterator[Window]:
    """Cut a stream into windows of up to `size` frames.

    Frames whose number is in `own` come exactly once each, the others only as looks.
    Each has `context` looks on either side, fewer only where the stream begins or ends.
    `look` maps a frame to [1, C, h, w].
    """
    waiting: deque[Tensor] = deque()
    looks: deque[Tensor] = deque()
    oldest = 0  # number of the frame that looks[0] shows
    done = own.start

    def take(count: int) -> Window:
        nonlocal oldest, done
        while oldest < done - context:
            looks.popleft()
            oldest += 1
        before = done - oldest
        near = torch.cat([*looks][: before + count + context])
        done += count
        chosen = tuple(waiting.popleft() for _ in range(count))
        return Window(chosen, near, range(before, before + count))

    for number, frame in enumerate(frames):
        looks.append(look(frame))
        if number in own:
            waiting.append(frame)
        if len(waiting) >= size and number >= done + size + context - 1:
            yield take(size)
    while waiting:
        yield take(min(size, len(waiting)))
