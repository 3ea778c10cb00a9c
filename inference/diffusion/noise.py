"""Noise that is the same for the same numbers, or given."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

Draw = Callable[[tuple[int, ...]], Tensor]
"""Gives normal noise of a shape, other noise with every call."""

Noise = Callable[[int, int, int], Draw]
"""Noise of one frame, by the film's seed, what for, and the frame's place in the film."""

PIXELS, LATENTS, TILES = 0, 1, 2
"""What noise is for: a depth network's input, what its depth begins as, and from 2 on the
tiles of a fill by their number."""


def seeded(*key: int) -> Draw:
    """Noise by numbers alone: whatever else was drawn before, and on every device."""
    whole = [number % 2**64 for number in key]  # a place may lie before the film's zero
    high, low = np.random.SeedSequence(whole).generate_state(2)
    generator = torch.Generator().manual_seed(int(high) << 32 | int(low))
    return partial(torch.randn, generator=generator)


def of_frames(draws: Sequence[Draw]) -> Draw:
    """Noise [n, …] of n frames, each from its own source.

    So a frame has the same noise whichever frames it is seen with: in two segments, and
    in two chunks.
    """

    def draw(shape: tuple[int, ...]) -> Tensor:
        return torch.stack([one(shape[1:]) for one in draws])

    return draw


def next_frames(draws: deque[Draw]) -> Draw:
    """Likewise, of the next n frames that wait; then they do no longer."""

    def draw(shape: tuple[int, ...]) -> Tensor:
        return of_frames([draws.popleft() for _ in range(shape[0])])(shape)

    return draw
