"""Reference tensors of the inpainting, and what makes their inputs again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from inference.diffusion.networks import Networks


def arrays(folder: Path, name: str) -> dict[str, Tensor]:
    with np.load(folder / f"{name}.npz") as stored:
        return {key: torch.from_numpy(stored[key]) for key in stored.files}


def unit(pixels: np.ndarray) -> Tensor:
    """[T, 3, H, W] in [0, 1] of [T, H, W, 3] in 8 bits."""
    return torch.from_numpy(pixels.copy()).permute(0, 3, 1, 2).float().div(255.0)


def eight_bits(pixels: Tensor) -> Tensor:
    """The other way."""
    return pixels.mul(255.0).round().permute(0, 2, 3, 1)


def warped_and_occluded(synth, frames: int, height: int, width: int):
    """A synthetic chunk, [T, 3, H, W] and [T, 1, H, W]."""
    mask = synth.synth_mask(frames, height, width)
    video = synth.synth_video(frames, height, width, 5).copy()
    video[mask > 0] = 0
    return unit(video), torch.from_numpy(mask.copy()).float().div(255.0)[:, None]


class Watched:
    """Networks that note the latents they decode and the pixels they encode."""

    def __init__(self, networks: Networks) -> None:
        self.networks = networks
        self.decoded: list[Tensor] = []
        self.encoded: list[Tensor] = []

    def __getattr__(self, name: str):
        return getattr(self.networks, name)

    def decode(self, latents: Tensor, *, chunk: int) -> Tensor:
        self.decoded.append(latents)
        return self.networks.decode(latents, chunk=chunk)

    def encode(self, pixels: Tensor, **options) -> Tensor:
        self.encoded.append(pixels)
        return self.networks.encode(pixels, **options)
