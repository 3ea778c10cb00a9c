"""From noise to latents, step by step along the schedule that comes with the weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from diffusers import EulerDiscreteScheduler
from torch import Tensor

from inference.heartbeat import beat

Velocity = Callable[[Tensor, Tensor], Tensor]
"""What a network predicts of scaled latents [T, 4, h, w] and a timestep []: v (Salimans
and Ho 2022, "Progressive Distillation", appendix D)."""

KIND = {
    "prediction_type": "v_prediction",
    "timestep_type": "continuous",
    "use_karras_sigmas": True,
}
"""What a scheduler's config must say to be Stable Video Diffusion's."""


def scheduler_in(folder: Path) -> EulerDiscreteScheduler:
    """The scheduler of a folder's config; ValueError if it is of another kind."""
    scheduler = EulerDiscreteScheduler.from_pretrained(folder, local_files_only=True)
    if any(scheduler.config[key] != value for key, value in KIND.items()):
        raise ValueError("the scheduler is not Stable Video Diffusion's")
    return scheduler


def denoised(
    latents: Tensor, velocity: Velocity, scheduler: EulerDiscreteScheduler
) -> Tensor:
    """Latents [T, 4, h, w], float32, of those at the scheduler's highest noise level.

    They stay in float32 between the steps, whatever the network computes in: at 700, where
    the noise begins, half precision would round away what the picture adds to it.
    """
    latents = latents.to(torch.float32)
    for timestep in scheduler.timesteps:
        beat()
        scaled = scheduler.scale_model_input(latents, timestep)
        v = velocity(scaled, timestep).to(torch.float32)
        latents = scheduler.step(v, timestep, latents, return_dict=False)[0]
    return latents
