"""Networks of the real layout and a thousandth of the size, the same on every machine.

Their weights are random but of unit gain, so that what goes in shapes what comes out.
Deep enough to hear the timestep: with one channel per group a group norm would mute it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from diffusers import (
    AutoencoderKLTemporalDecoder,
    EulerDiscreteScheduler,
    UNetSpatioTemporalConditionModel,
)
from torch import nn
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

BASE = "stable-video-diffusion-img2vid-xt-1-1"
DEPTH = "DepthCrafter"
STEREO = "StereoCrafter/unet_diffusers"


def filled(network: nn.Module, seed: int) -> nn.Module:
    """Every parameter from numpy's frozen stream, exact in half precision."""
    stream = np.random.RandomState(seed)
    with torch.no_grad():
        for name, parameter in sorted(network.named_parameters()):
            shape = tuple(parameter.shape)
            unit = (stream.random_sample(shape) * 2 - 1) * 3**0.5
            if name.endswith("bias"):
                values = 0.05 * unit
            elif parameter.ndim == 1 and name.endswith("weight"):
                values = 1 + 0.1 * unit
            elif parameter.ndim >= 2:
                values = unit / parameter[0].numel() ** 0.5
            else:
                values = 0.5 * unit
            parameter.copy_(torch.from_numpy(values.astype(np.float16)))
    return network.half()


def save_networks(folder: Path) -> None:
    """The folders BASE, DEPTH and STEREO, with the files that are fetched from the hub."""
    base = folder / BASE
    _scheduler().save_pretrained(base / "scheduler")
    _image_encoder().save_pretrained(base / "image_encoder", variant="fp16")
    _vae().save_pretrained(base / "vae", variant="fp16")
    _unet(8, seed=3).save_pretrained(folder / DEPTH)
    _unet(9, seed=4).save_pretrained(folder / STEREO)


def _scheduler() -> EulerDiscreteScheduler:
    return EulerDiscreteScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        use_karras_sigmas=True,
        sigma_min=0.002,
        sigma_max=700.0,
        timestep_spacing="leading",
        timestep_type="continuous",
        steps_offset=1,
    )


def _image_encoder() -> nn.Module:
    config = CLIPVisionConfig(
        hidden_size=32,
        intermediate_size=64,
        num_attention_heads=2,
        num_hidden_layers=1,
        patch_size=56,
        projection_dim=32,
    )
    return filled(CLIPVisionModelWithProjection(config), seed=1)


def _vae() -> nn.Module:
    network = AutoencoderKLTemporalDecoder(
        down_block_types=("DownEncoderBlock2D",) * 4,
        block_out_channels=(32,) * 4,
        layers_per_block=1,
        force_upcast=True,
    )
    return filled(network, seed=2)


def _unet(channels: int, seed: int) -> nn.Module:
    network = UNetSpatioTemporalConditionModel(
        in_channels=channels,
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=24,
        layers_per_block=1,
        cross_attention_dim=32,
        transformer_layers_per_block=1,
        down_block_types=(
            "CrossAttnDownBlockSpatioTemporal",
            "DownBlockSpatioTemporal",
        ),
        up_block_types=("UpBlockSpatioTemporal", "CrossAttnUpBlockSpatioTemporal"),
        block_out_channels=(32, 64),
        num_attention_heads=(2, 4),
    )
    return filled(network, seed)
