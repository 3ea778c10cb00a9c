"""A prompt, with or without a picture to begin with → a clip, by Wan 2.2 TI2V-5B.

The networks and the sampling are diffusers' own (`WanPipeline`); here is where they come
from, what they compute on and in, and what is done with their frames.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Self

import torch
from diffusers import (
    AutoencoderKLWan,
    UniPCMultistepScheduler,
    WanImageToVideoPipeline,
    WanPipeline,
    WanTransformer3DModel,
)
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor
from transformers import AutoTokenizer, UMT5EncoderModel

from contract.errors import ErrorCode, StereoSpotError
from contract.generation import Generated, Generation
from inference.encoder import writer
from inference.hardware import Hardware, hardware_within
from inference.heartbeat import beat, heard
from inference.memory import enough_for
from inference.needs import CLIPS
from inference.weights import WAN, Located, located, version
from inference.weights.loading import loaded, readable

log = logging.getLogger(__name__)

LARGEST_IMAGE = 100_000_000
"""Pixels of a picture to begin with: what it takes is opened in memory, whole."""


class Clips:
    """The networks, loaded; makes one clip at a time."""

    def __init__(self, pipeline: WanPipeline, hardware: Hardware, version: str) -> None:
        self._pipeline = pipeline
        self._hardware = hardware
        self.version = version

    @classmethod
    def ready(cls) -> Self:
        """With weights from where `inference.weights` finds them, on what is there.

        StereoSpotError: as `inference.weights.located` and `hardware_within`, and
        OUT_OF_MEMORY where the networks do not fit.
        """
        weights = located([WAN])
        hardware = hardware_within(CLIPS, "text to video")
        hardware = replace(hardware, dtype=_dtype(hardware.device))
        with enough_for("The networks that make clips take more memory than is free."):
            return cls.load(weights[WAN], hardware)

    @classmethod
    def load(cls, weights: Located, hardware: Hardware) -> Self:
        """From a folder in the layout of the hub. StereoSpotError: WEIGHTS_CORRUPT."""
        folder = weights.folder
        with readable(folder / "tokenizer"):
            tokenizer = AutoTokenizer.from_pretrained(
                folder / "tokenizer", local_files_only=True
            )
        with readable(folder / "scheduler"):
            scheduler = UniPCMultistepScheduler.from_pretrained(folder / "scheduler")
        dtype = hardware.dtype
        pipeline = WanPipeline(
            tokenizer=tokenizer,
            text_encoder=loaded(UMT5EncoderModel, folder / "text_encoder", dtype=dtype),
            # In float32, as the model card says: in less it shows bands.
            vae=loaded(AutoencoderKLWan, folder / "vae", torch_dtype=torch.float32),
            scheduler=scheduler,
            transformer=loaded(
                WanTransformer3DModel, folder / "transformer", torch_dtype=dtype
            ),
            expand_timesteps=True,  # what tells the 5B model from its relatives
        )
        pipeline.set_progress_bar_config(disable=True)
        if hardware.offload:
            pipeline.enable_model_cpu_offload(device=hardware.device)
            # A frame's decoder at 720p takes more than is left beside the transformer.
            pipeline.vae.enable_tiling()
        else:
            pipeline.to(hardware.device)
        marks = version({WAN: weights})
        return cls(pipeline, hardware, f"wan-1-{marks}-{hardware.bits}bit")

    def frames(
        self,
        wanted: Generation,
        *,
        image: Path | None = None,
        on_step: Callable[[int], None] = lambda step: None,
    ) -> Tensor:
        """[T, 3, H, W] in [0, 1], float32.

        `on_step(n)` is called when n steps of `wanted.steps` are done; what it raises ends
        the work. StereoSpotError: BAD_REQUEST where the picture is none.
        """
        known: dict[str, Any] = {
            "prompt": wanted.prompt,
            "negative_prompt": wanted.negative_prompt,
            "width": wanted.width,
            "height": wanted.height,
            "num_frames": wanted.frames,
            "num_inference_steps": wanted.steps,
            "guidance_scale": wanted.guidance,
            # On the CPU: the same noise on every card.
            "generator": torch.Generator().manual_seed(wanted.seed),
            "output_type": "pt",
            "callback_on_step_end": partial(_stepped, on_step),
        }
        pipeline: Any = self._pipeline
        if image is not None:
            known["image"] = first_picture(image, wanted.width, wanted.height)
            components = pipeline.components | {
                "image_encoder": None,
                "image_processor": None,
            }
            pipeline = WanImageToVideoPipeline(**components, expand_timesteps=True)
        try:
            with torch.inference_mode():
                clip: Tensor = pipeline(**known).frames[0]
        finally:
            pipeline.maybe_free_model_hooks()
        return clip.float().cpu()


def generate(
    wanted: Generation,
    target: Path,
    *,
    clips: Clips,
    image: Path | None = None,
    on_step: Callable[[int], None] = lambda step: None,
) -> Generated:
    """Make the clip `target`: H.264, BT.709, 24 frames a second.

    It is there when this returns, and nothing of it when it raises: as `Clips.frames`,
    DISK_FULL, OUT_OF_MEMORY.
    """
    began = time.monotonic()
    too_large = (
        "This clip takes more memory than is free: make a smaller or shorter one."
    )
    with enough_for(too_large), heard(partial(on_step, 0)):
        pictures = clips.frames(wanted, image=image, on_step=on_step)
        with writer(target, wanted.manifest, wanted.picture, None) as write:
            for picture in pictures:
                write(picture[None])
                beat()
    return Generated(
        frames=len(pictures),
        seconds=time.monotonic() - began,
        version=clips.version,
    )


def first_picture(path: Path, width: int, height: int) -> Image.Image:
    """The picture as the clip's first frame: upright, cut to its shape, scaled.

    StereoSpotError(BAD_REQUEST) for what is no picture, or too large a one.
    """
    try:
        with Image.open(path, formats=("JPEG", "PNG", "WEBP")) as opened:
            if opened.width * opened.height > LARGEST_IMAGE:
                raise _no_picture("it has too many pixels")
            upright = ImageOps.exif_transpose(opened).convert("RGB")
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise _no_picture("it is no JPEG, PNG or WebP that can be read") from error
    return ImageOps.fit(upright, (width, height), Image.Resampling.LANCZOS)


def _no_picture(why: str) -> StereoSpotError:
    return StereoSpotError(
        ErrorCode.BAD_REQUEST, f"The picture to begin with cannot be used: {why}."
    )


def _stepped(
    on_step: Callable[[int], None],
    pipeline: object,
    step: int,
    timestep: object,
    state: dict[str, Any],
) -> dict[str, Any]:
    """As diffusers calls back: `step` counts from 0, and `state` is handed on."""
    beat()
    on_step(step + 1)
    return state


def _dtype(device: torch.device) -> torch.dtype:
    """bfloat16, as the weights are published, where the card has it; not float16, for whose
    range the networks were not trained."""
    if device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0):
        return torch.bfloat16
    return torch.float32
