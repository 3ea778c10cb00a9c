"""Networks with random weights, in the files and of the sizes of the published ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKLTemporalDecoder,
    EulerDiscreteScheduler,
    UNetSpatioTemporalConditionModel,
)
from torch import nn
from transformers import (
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
    DepthAnythingConfig,
    DepthAnythingForDepthEstimation,
    Dinov2Config,
)

BASE, DEPTH, STEREO, SINGLE = "svd", "depth", "stereo", "single"

# The UNet's and the scheduler's defaults in diffusers are those of SVD.
TINY_UNET = {
    "block_out_channels": (32, 32, 64, 64),
    "num_attention_heads": (2, 2, 4, 4),
    "layers_per_block": 1,
    "cross_attention_dim": 32,
    "addition_time_embed_dim": 8,
    "projection_class_embeddings_input_dim": 24,
}
VAE = {"block_out_channels": (128, 256, 512, 512), "layers_per_block": 2}
TINY_VAE = {"block_out_channels": (32,) * 4, "layers_per_block": 1}
CLIP = {
    "hidden_size": 1280,
    "intermediate_size": 5120,
    "num_hidden_layers": 32,
    "num_attention_heads": 16,
    "patch_size": 14,
    "projection_dim": 1024,
    "hidden_act": "gelu",
}
TINY_CLIP = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "patch_size": 56,
    "projection_dim": 32,
}
DINO = {"hidden_size": 384, "num_hidden_layers": 12, "num_attention_heads": 6}
TINY_DINO = {"hidden_size": 8, "num_hidden_layers": 12, "num_attention_heads": 2}
HEAD: dict[str, Any] = {
    "reassemble_hidden_size": 384,
    "neck_hidden_sizes": [48, 96, 192, 384],
    "fusion_hidden_size": 64,
}
TINY_HEAD: dict[str, Any] = {
    "reassemble_hidden_size": 8,
    "neck_hidden_sizes": [4, 4, 8, 8],
    "fusion_hidden_size": 4,
    "head_hidden_size": 4,
}
SCHEDULER = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "prediction_type": "v_prediction",
    "use_karras_sigmas": True,
    "sigma_min": 0.002,
    "sigma_max": 700.0,
    "timestep_spacing": "leading",
    "timestep_type": "continuous",
    "steps_offset": 1,
}


def save_networks(folder: Path, *, tiny: bool, device: str) -> None:
    """The folders BASE, DEPTH and STEREO, as they would come from the hub: 7.6 GB."""
    base = folder / BASE
    EulerDiscreteScheduler(**SCHEDULER).save_pretrained(base / "scheduler")
    with torch.device(device):
        clip = CLIPVisionModelWithProjection(
            CLIPVisionConfig(**(TINY_CLIP if tiny else CLIP))
        )
        _save(clip, base / "image_encoder", variant="fp16")
        vae = AutoencoderKLTemporalDecoder(
            down_block_types=("DownEncoderBlock2D",) * 4,
            force_upcast=True,
            **(TINY_VAE if tiny else VAE),
        )
        _save(vae, base / "vae", variant="fp16")
        for name, channels in ((DEPTH, 8), (STEREO, 9)):
            unet = UNetSpatioTemporalConditionModel(
                in_channels=channels, **(TINY_UNET if tiny else {})
            )
            _save(unet, folder / name)


def save_single(folder: Path, *, tiny: bool) -> None:
    """The folder SINGLE: Depth Anything V2 Small, 0.1 GB."""
    backbone = Dinov2Config(
        **(TINY_DINO if tiny else DINO),
        image_size=518,
        patch_size=14,
        out_features=["stage3", "stage6", "stage9", "stage12"],
        reshape_hidden_states=False,
    )
    config = DepthAnythingConfig(
        backbone_config=backbone, **(TINY_HEAD if tiny else HEAD)
    )
    DepthAnythingForDepthEstimation(config).save_pretrained(folder / SINGLE)


def _save(network: nn.Module, folder: Path, **options: Any) -> None:
    saved: Any = network.half()
    saved.save_pretrained(folder, **options)
