"""From noise to latents: Euler's method along the schedule that comes with the weights.

Karras et al. 2022 ("Elucidating the Design Space of Diffusion-Based Generative Models",
algorithm 1 without churn, and eq. 5 for the noise levels); the networks predict v
(Salimans and Ho 2022, "Progressive Distillation", appendix D).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

Velocity = Callable[[Tensor, Tensor], Tensor]
"""What a network predicts of latents [T, 4, h, w] of unit variance and a timestep []."""

RHO = 7.0
"""How much closer the lower levels lie (Karras et al. 2022, table 1)."""

KIND = {
    "prediction_type": "v_prediction",
    "timestep_type": "continuous",
    "use_karras_sigmas": True,
}
"""What a scheduler's config must say to be of the kind written here."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """Noise levels, highest first. Never changed, so any number of runs may share one."""

    sigmas: Tensor
    """[steps + 1], the last is 0."""
    timesteps: Tensor
    """[steps]: what the network is told of each level."""
    start: float
    """Standard deviation of the latents to begin with."""


@dataclass(frozen=True, slots=True)
class Levels:
    """The noise levels a network was trained between, as standard deviations."""

    lowest: float
    highest: float

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Levels:
        """Of a scheduler's config as it comes with the weights; ValueError if not SVD's."""
        if any(config.get(key) != value for key, value in KIND.items()):
            raise ValueError("the scheduler is not Stable Video Diffusion's")
        try:
            return cls(float(config["sigma_min"]), float(config["sigma_max"]))
        except (KeyError, TypeError) as error:
            raise ValueError("the scheduler has no noise levels") from error

    def schedule(self, steps: int) -> Schedule:
        share = torch.linspace(0.0, 1.0, steps, dtype=torch.float64)
        highest, lowest = self.highest ** (1 / RHO), self.lowest ** (1 / RHO)
        sigmas = ((highest + share * (lowest - highest)) ** RHO).float()
        start = (self.highest**2 + 1.0) ** 0.5
        # A quarter of the logarithm is what SVD calls time (EDM's c_noise, table 1).
        return Schedule(torch.cat([sigmas, torch.zeros(1)]), sigmas.log() / 4.0, start)


def denoised(latents: Tensor, velocity: Velocity, schedule: Schedule) -> Tensor:
    """Latents [T, 4, h, w], float32, of those at the schedule's highest noise level.

    They stay in float32 between the steps, whatever the network computes in: at 700, where
    the noise begins, half precision would round away what the picture adds to it.
    """
    sigmas = schedule.sigmas
    latents = latents.float()
    for step, timestep in enumerate(schedule.timesteps):
        sigma, lower = sigmas[step], sigmas[step + 1]
        variance = sigma**2 + 1.0
        v = velocity(latents / variance**0.5, timestep).float()
        clean = latents / variance - v * (sigma / variance**0.5)
        latents = latents + (latents - clean) / sigma * (lower - sigma)
    return latents
