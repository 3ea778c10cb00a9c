"""The networks of Stable Video Diffusion, with a UNet of DepthCrafter's or StereoCrafter's.

pixels      [T, 3, H, W]        in [0, 1]; H and W multiples of 64
latents     [T, 4, H/8, W/8]    as the VAE gives them, never times its scaling factor,
                                when they are a condition; times it when denoised
embeddings  [T, D]              of the image encoder (CLIP), one for each frame
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKLTemporalDecoder,
    EulerDiscreteScheduler,
    UNetSpatioTemporalConditionModel,
)
from torch import Tensor, nn
from torch.func import functional_call
from transformers import CLIPVisionModelWithProjection

from inference.diffusion.clip import normalised
from inference.diffusion.sampler import Velocity, denoised, scheduler_in
from inference.hardware import Hardware
from inference.weights.loading import loaded, readable

log = logging.getLogger(__name__)

CPU = Hardware(torch.device("cpu"), torch.float32)

TimeIds = tuple[float, float, float]
"""Frames per second, motion bucket and noise augmentation that the UNet is told."""


@dataclass(frozen=True, slots=True)
class Networks:
    vae: AutoencoderKLTemporalDecoder
    image_encoder: CLIPVisionModelWithProjection
    unet: UNetSpatioTemporalConditionModel
    scheduler: EulerDiscreteScheduler
    """As it came with the weights; `schedule` gives one for each run."""
    hardware: Hardware
    """Where they compute, and where all they give lies. It is float32, as is what they
    take, whatever they compute in."""

    @classmethod
    def load(
        cls,
        base: Path,
        unet: Path,
        *,
        hardware: Hardware = CPU,
        variant: str | None = "fp16",
    ) -> Networks:
        """Networks from local folders in the layouts of the Hugging Face hub.

        `base` has scheduler/, image_encoder/ and vae/ of Stable Video Diffusion, the files
        of `variant`; `unet` has config.json and its weights, without a variant.
        StereoSpotError(WEIGHTS_CORRUPT) where a file is missing, cut short or of another
        network; memory that runs out is told as it is.
        """
        encoder = loaded(
            CLIPVisionModelWithProjection,
            base / "image_encoder",
            dtype=hardware.dtype,
            variant=variant,
        )
        vae = loaded(
            AutoencoderKLTemporalDecoder,
            base / "vae",
            torch_dtype=torch.float32,
            variant=variant,
        )
        # SVD's encoder overflows in half precision, which `force_upcast` says.
        half = vae.decoder if vae.config.force_upcast else vae
        half.to(hardware.dtype)
        return cls(
            hardware.settled(vae),
            hardware.settled(encoder),
            _unet(unet, hardware),
            _scheduler(base / "scheduler"),
            hardware,
        )

    def with_unet(self, unet: Path) -> Networks:
        """These networks, the very same ones, with another UNet. Raises as `load` does."""
        return replace(self, unet=_unet(unet, self.hardware))

    @property
    def device(self) -> torch.device:
        return self.hardware.device

    @property
    def dtype(self) -> torch.dtype:
        return self.hardware.dtype

    def schedule(self, steps: int) -> EulerDiscreteScheduler:
        """Noise levels (`sigmas`) and `timesteps` for one run, which it counts."""
        scheduler = EulerDiscreteScheduler.from_config(self.scheduler.config)
        scheduler.set_timesteps(steps)
        return scheduler

    def encode(
        self, pixels: Tensor, *, noise: Tensor | None = None, batch: int = 8
    ) -> Tensor:
        """Latents [T, 4, H/8, W/8] of pixels [T, 3, H, W]: the most likely ones, unscaled.

        `noise` [T, 3, H, W] is added to the pixels in [-1, 1].
        """
        signal = pixels.to(self.device) * 2.0 - 1.0
        if noise is not None:
            signal = signal + noise.to(self.device)
        with self.hardware.on_card(self.vae):
            dtype = self.vae.encoder.conv_in.weight.dtype
            return _cat(
                self.vae.encode(part.to(dtype)).latent_dist.mode().float()
                for part in torch.split(signal, batch)
            )

    def decode(self, latents: Tensor, *, chunk: int) -> Tensor:
        """Pixels [T, 3, H, W] of denoised latents [T, 4, H/8, W/8].

        The decoder looks at the frames of a chunk together, and at no others.
        """
        # A product, as published: a quotient rounds some of the last bits differently.
        scaled = (1.0 / self.vae.config.scaling_factor) * latents.to(self.device)
        with self.hardware.on_card(self.vae):
            return _cat(
                _unit(self._decoded(part)) for part in torch.split(scaled, chunk)
            )

    def _decoded(self, latents: Tensor) -> Tensor:
        """The signal of a chunk's frames, every number of it finite.

        In half precision the decoder overflows for some latents, and what is not a number
        would spread through all chunks that reuse it. Those chunks are decoded again in
        float32. FloatingPointError where that does not help: a film with black frames
        would look finished.
        """
        count = len(latents)
        signal: Tensor = self.vae.decode(
            latents.to(self.dtype), num_frames=count
        ).sample
        if self.dtype != torch.float32 and not signal.isfinite().all():
            log.warning("The decoder overflowed in %s: again in float32", self.dtype)
            signal = _in_float32(self.vae.decoder, latents)
        if not signal.isfinite().all():
            raise FloatingPointError("the networks gave no picture")
        return signal

    def embed(self, pixels: Tensor, *, batch: int = 8) -> Tensor:
        """Embeddings [T, D] of pixels [T, 3, H, W]."""
        with self.hardware.on_card(self.image_encoder):
            return _cat(
                self.image_encoder(
                    normalised(part.to(self.device)).to(self.dtype)
                ).image_embeds.float()
                for part in torch.split(pixels, batch)
            )

    def denoise(
        self,
        latents: Tensor,
        condition: Tensor,
        embeddings: Tensor,
        *,
        time_ids: TimeIds,
        steps: int,
        guidance: Tensor | float = 1.0,
        at_once: bool = False,
    ) -> Tensor:
        """Latents [T, 4, h, w] of those at the highest noise level, in so many steps.

        `condition` [T, C, h, w] is laid beside them; `embeddings` are one for each frame
        [T, D] or one for all [1, D]. `guidance`, for all frames or each [T], is how far to
        go from what the UNet predicts of neither to what it predicts of both (Ho and
        Salimans 2022). At 1 only the latter counts, and the former is not computed. Both
        are computed one after the other, or `at_once`, which takes twice the memory and
        an embedding for all.
        """
        velocity = self._guided(condition, embeddings, time_ids, guidance, at_once)
        with self.hardware.on_card(self.unet):
            return denoised(latents.to(self.device), velocity, self.schedule(steps))

    def _guided(
        self,
        condition: Tensor,
        embeddings: Tensor,
        time_ids: TimeIds,
        guidance: Tensor | float,
        at_once: bool,
    ) -> Velocity:
        """What the UNet predicts, as `denoise` says."""
        condition = condition.to(self.device)
        embeddings = embeddings.to(self.device)
        scale = torch.as_tensor(guidance, device=self.device).reshape(-1, 1, 1, 1)
        is_guided = bool((scale != 1.0).any())
        ids = torch.tensor([time_ids], device=self.device, dtype=self.dtype)

        def predicted(scaled: Tensor, timestep: Tensor, *on: float) -> Tensor:
            """[N, T, 4, h, w]: of the condition and embeddings times each number."""
            sample = torch.stack([torch.cat([scaled, condition * by], 1) for by in on])
            tokens = torch.stack([embeddings * by for by in on]).to(self.dtype)
            known = ids.expand(len(on), -1)
            return _first(
                self.unet(
                    sample.to(self.dtype), timestep, tokens, known, return_dict=False
                )
            )

        def velocity(scaled: Tensor, timestep: Tensor) -> Tensor:
            timestep = timestep.to(self.device)
            if not is_guided:
                return predicted(scaled, timestep, 1.0)[0]
            if at_once:
                free, guided = predicted(scaled, timestep, 0.0, 1.0).unbind()
            else:
                guided = predicted(scaled, timestep, 1.0)[0]
                free = predicted(scaled, timestep, 0.0)[0]
            return free + scale * (guided - free)

        return velocity


def _unet(folder: Path, hardware: Hardware) -> UNetSpatioTemporalConditionModel:
    unet = loaded(UNetSpatioTemporalConditionModel, folder, torch_dtype=hardware.dtype)
    for block in (*unet.down_blocks, unet.mid_block, *unet.up_blocks):
        block.register_forward_pre_hook(_each_its_own, with_kwargs=True)
    return hardware.settled(unet)


def _each_its_own(
    block: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Let each frame attend to its own embedding, as DepthCrafter was trained.

    The stock UNet takes one embedding per film and hands all it is given to every frame:
    [T, T, D] of T embeddings. Of these, each frame keeps the one with its own number.
    """
    tokens = kwargs.get("encoder_hidden_states")
    if tokens is not None and tokens.shape[1] > 1:
        own = tokens.diagonal(dim1=0, dim2=1).T.unsqueeze(1)
        kwargs = {**kwargs, "encoder_hidden_states": own}
    return args, kwargs


def _in_float32(decoder: nn.Module, latents: Tensor) -> Tensor:
    """What a decoder gives for the latents of a chunk, computed in float32.

    With copies of its weights, gone right after: it stays as it is.
    """
    weights = {name: weight.float() for name, weight in decoder.named_parameters()}
    frames = {
        "num_frames": len(latents),
        "image_only_indicator": latents.new_zeros((1, len(latents))),
    }
    signal: Tensor = functional_call(decoder, weights, (latents,), frames)
    return signal


def _scheduler(folder: Path) -> EulerDiscreteScheduler:
    with readable(folder):
        return scheduler_in(folder)


def _cat(parts: Iterable[Tensor]) -> Tensor:
    return torch.cat(list(parts))


def _first(outputs: tuple[Tensor, ...]) -> Tensor:
    """The only one of the outputs."""
    return outputs[0]


def _unit(signal: Tensor) -> Tensor:
    return (signal.float() / 2.0 + 0.5).clamp(0.0, 1.0)
