"""Views to fill, and a stand-in for the networks whose picture one can tell beforehand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace

import torch
from torch import Tensor
from torch.nn import functional

from inference.diffusion.networks import CPU
from inference.stages.fill import View

INVENTED = 0.5
"""What the stand-in draws into occlusions."""


class Drawing:
    """Gives back what it is shown, grey where it shall invent, and off by `drift`.

    Latents are the 8 × 8 pixels themselves, so nothing is lost on the way.
    """

    device = torch.device("cpu")
    hardware = CPU

    def __init__(
        self,
        drift: Callable[[int], float] = lambda run: 0.0,
        *,
        noise: float = 0.0,
        room: int | None = None,
    ) -> None:
        self.drift, self.noise, self.room = drift, noise, room
        self.shown: list[Tensor] = []
        """Pixels of each tile that was run."""
        self.masks: list[Tensor] = []
        """Latent masks of each."""
        self.guidance: list[Tensor] = []

    def schedule(self, steps: int) -> SimpleNamespace:
        return SimpleNamespace(init_noise_sigma=1.0)

    def encode(self, pixels: Tensor, *, noise: Tensor | None = None) -> Tensor:
        if self.room is not None and pixels[0, 0].numel() > self.room:
            raise torch.OutOfMemoryError
        self.shown.append(pixels)
        return functional.pixel_unshuffle(pixels, 8)

    def embed(self, pixels: Tensor) -> Tensor:
        return pixels.mean(dim=(2, 3))

    def denoise(
        self, latents: Tensor, condition: Tensor, embeddings: Tensor, **options
    ) -> Tensor:
        known, mask = condition[:, :-1], condition[:, -1:]
        self.masks.append(mask)
        self.guidance.append(options["guidance"])
        grey = INVENTED + self.noise * latents[:, :1]
        return torch.where(mask > 0, grey, known)

    def decode(self, latents: Tensor, *, chunk: int) -> Tensor:
        drift = self.drift(len(self.shown) - 1)
        return (functional.pixel_shuffle(latents, 8) + drift).clamp(0.0, 1.0)


def views(
    count: int, height: int = 32, width: int = 48, *, cuts: tuple[int, ...] = (0,)
) -> Iterator[View]:
    """Smooth pictures, each with its own brightness and a hole 4 × 6 in its midst."""
    down = torch.linspace(0.0, 0.2, height)[:, None]
    across = torch.linspace(0.0, 0.2, width)
    top, left = height // 2, width // 2
    for number in range(count):
        right = (0.2 + 0.005 * (number % 70) + down + across).expand(1, 3, -1, -1)
        occluded = torch.zeros(1, 1, height, width)
        occluded[..., top : top + 4, left : left + 6] = 1.0
        yield View(right * (1.0 - occluded), occluded, number in cuts, number)
