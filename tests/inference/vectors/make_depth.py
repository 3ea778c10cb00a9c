"""Makes depth.npz: what depth by diffusion came to, on tiny networks, when it was right.

    python -m tests.inference.vectors.make_depth

It was right when it agreed with the published code's own tensors (tests/inference/golden).
Whoever changes the picture on purpose makes it again, and says so.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import Tensor

from inference.diffusion.networks import Networks
from inference.stages.depth.diffused import conditions, depth_latents, depths
from inference.stages.depth.recipe import DEFAULT, REFERENCE
from tests.inference.diffusion.tiny import BASE, DEPTH, save_networks
from tests.inference.given import again, given

FILE = Path(__file__).with_name("depth.npz")
FRAMES = 11
SHORT = {"window": 6, "overlap": 2}
RECIPES = {
    "default": replace(DEFAULT, **SHORT),
    "reference": replace(REFERENCE, **SHORT),
}


def film() -> Tensor:
    """[11, 3, 64, 64] in [0, 1]: stripes that move, by whole numbers alone."""
    frame, channel, down, across = np.ogrid[0:FRAMES, 0:3, 0:64, 0:64]
    values = (across * (3 + channel) + down * (2 * channel + 1) + frame * 5) % 97
    return torch.from_numpy((values / 96.0).astype(np.float32))


def normal(seed: int, *shape: int) -> Tensor:
    """Noise from numpy's frozen stream."""
    values = np.random.RandomState(seed).standard_normal(shape)
    return torch.from_numpy(values.astype(np.float32))


@torch.inference_mode()
def made(networks: Networks, name: str) -> dict[str, Tensor]:
    """Latents [11, 4, 8, 8] and depth [11, 1, 64, 64] by one of the RECIPES."""
    recipe = RECIPES[name]
    grain, noise = normal(1, FRAMES, 3, 64, 64), normal(2, 6, 4, 8, 8)
    shown = conditions(film(), networks, recipe, draw=given(grain))
    latents = list(depth_latents(shown, networks, recipe, draw=again(noise, FRAMES)))
    depth = torch.cat(list(depths(latents, networks, recipe)))
    return {
        f"{name}_latents": torch.stack(latents),
        # Every fourth pixel tells as much as all of them.
        f"{name}_depth": depth[:, :, ::4, ::4],
    }


def main() -> None:
    torch.set_num_threads(1)
    with TemporaryDirectory() as folder:
        save_networks(Path(folder))
        networks = Networks.load(Path(folder) / BASE, Path(folder) / DEPTH)
        arrays = {
            key: values.numpy()
            for name in RECIPES
            for key, values in made(networks, name).items()
        }
    np.savez_compressed(FILE, **arrays)


if __name__ == "__main__":
    main()
