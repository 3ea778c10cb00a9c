"""A small recipe, and networks that say how they were called."""

from __future__ import annotations

from dataclasses import dataclass

from inference.stages.depth.recipe import Recipe

SMALL = Recipe(window=10, overlap=4, steps=2, encode_frames=2, decode_frames=3)


@dataclass
class Told:
    """Stands for the networks: a UNet that says how it was called, and does nothing."""

    networks: object
    windows: list

    def __getattr__(self, name):
        return getattr(self.networks, name)

    def denoise(self, latents, condition, embeddings, **told):
        self.windows.append((latents, condition, embeddings, told))
        return latents.clone()
