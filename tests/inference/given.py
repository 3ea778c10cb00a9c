"""Noise that a test gives instead of drawing it."""

from __future__ import annotations

from torch import Tensor

from inference.diffusion.noise import Draw


def given(noise: Tensor) -> Draw:
    """Hands out `noise` [T, ...] from its first row on; asked for more, the test fails."""
    taken = 0

    def draw(shape: tuple[int, ...]) -> Tensor:
        nonlocal taken
        rows = noise[taken : taken + shape[0]]
        taken += shape[0]
        assert tuple(rows.shape) == tuple(shape)
        return rows.clone()

    return draw


def again(noise: Tensor, frames: int) -> Draw:
    """As published: the noise of the first window serves all the frames of a film."""
    return given(noise.repeat(-(-frames // len(noise)), 1, 1, 1)[:frames])
