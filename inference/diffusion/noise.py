"""Noise that is the same for the same numbers, or given."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor

Draw = Callable[[tuple[int, ...]], Tensor]
"""Gives normal noise of a shape, other noise with every call."""


def seeded(*key: int) -> Draw:
    """Noise by numbers ≥ 0 alone: whatever else was drawn before, and on every device."""
    high, low = np.random.SeedSequence(key).generate_state(2)
    generator = torch.Generator().manual_seed(int(high) << 32 | int(low))
    return partial(torch.randn, generator=generator)
