"""Depth against the project's own vectors: no change of the picture goes unnoticed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.inference.vectors.make_depth import FILE, RECIPES, made

# Between machines and versions of libraries sums are rounded otherwise.
NEAR = {"latents": 5e-4, "depth": 3e-5}


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("kind", NEAR)
def test_depth_is_what_it_was(depth_networks, name, kind):
    key = f"{name}_{kind}"
    with np.load(FILE) as stored:
        before = torch.from_numpy(stored[key])
    now = made(depth_networks, name)[key]
    assert now.shape == before.shape
    assert float((now - before).abs().max()) < NEAR[kind]
