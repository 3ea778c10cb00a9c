"""Inverse depth by Depth Anything V2 (Yang et al. 2024), held steady in time.

   frames         of a segment, those of its neighbours included
→  raw depth      of each alone, in a scale and with an offset of its own
→  fitted to its neighbours along the motion, and averaged with them
→  inverse depth  in the range of the frames around it

What a frame's scale and offset are does not show in the end, and nothing beyond CONTEXT
frames or a cut counts: segments need not talk to each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from inference.colour import unit
from inference.hardware import Hardware
from inference.shots import Frame
from inference.stages.depth import motion
from inference.stages.depth.ranges import settled
from inference.stages.depth.steady import along_motion, links, trust_in
from inference.weights.loading import loaded
from inference.windows import windows

AVERAGED, RANGED = 4, 8
"""Frames on either side that depth is averaged with, and that its range is read off."""

CONTEXT = AVERAGED + RANGED
"""Frames on either side that an estimate depends on."""

WINDOW = 8
"""Frames made steady at a time: full frames wait so long, and CONTEXT, for their depth."""

SIDE = 518
"""Pixels of the shorter side that the network was trained on."""

PATCH = 14
"""Pixels: both sides are a multiple of it."""

LONGEST = 4
"""Times the shorter side: of longer strips the length is squeezed."""

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of R, G and B, as in the model's preprocessor_config.json."""

FLAT = 0.05
"""Span of raw depth, which reaches from 0 to several units, up to which all is flat."""

FOLLOWED = 192 * 108
"""Pixels of the small pictures that motion is followed on."""

Network = Callable[[Tensor], Tensor]
"""Pictures [B, 3, h, w], normalised → raw depth [B, h, w], more is nearer."""


class _Seen(NamedTuple):
    raw: Tensor
    """[1, 1, h, w]: depth, true up to a scale and an offset of this frame."""
    luma: Tensor
    """[1, 1, h, w]"""
    flow: Tensor
    """[1, 2, h', w']: from the frame before to this one, in pixels of small pictures."""
    link: Tensor
    """[1, 2]: scale and offset from the frame before's raw depth to this one's."""
    begins_shot: bool


@dataclass(frozen=True, slots=True)
class DepthAnything:
    """A depth estimator for any machine: on a CPU a smaller `side` is faster."""

    network: Network
    device: torch.device
    dtype: torch.dtype
    side: int = SIDE
    batch: int = 4
    """Frames that the network sees at once."""

    @classmethod
    def load(
        cls, folder: Path, hardware: Hardware, *, side: int = SIDE
    ) -> DepthAnything:
        """With weights from a folder as on the Hugging Face hub (config, safetensors).

        StereoSpotError(WEIGHTS_CORRUPT) where they are not all there, or another network's.
        """
        from transformers import DepthAnythingForDepthEstimation

        model = hardware.settled(
            loaded(DepthAnythingForDepthEstimation, folder, dtype=hardware.dtype)
        )
        # What convolves best where channels lie beside each other, does.
        model.to(memory_format=torch.channels_last)

        def network(pictures: Tensor) -> Tensor:
            with hardware.on_card(model):
                depth: Tensor = model(pixel_values=pictures).predicted_depth
            return depth

        return cls(network, hardware.device, hardware.dtype, side)

    def __call__(
        self, frames: Iterable[Frame], *, own: range, seed: int
    ) -> Iterator[Tensor]:
        """Inverse depth [1, 1, h, w] of the own frames, `side` pixels or so in height."""
        first = max(0, own.start - RANGED)
        around = range(first, own.stop + RANGED)
        steady = _averaged(self._seen(frames), around)
        inner = range(own.start - first, own.stop - first)
        for window in windows(steady, own=inner, size=WINDOW, context=RANGED):
            scale, offset = _gauge(window.items)
            depths = [
                (seen.raw * scale[number] + offset[number], seen.begins_shot)
                for number, seen in enumerate(window.items)
            ]
            yield from settled(depths, own=window.own, flat=FLAT, reach=RANGED)

    def _seen(self, frames: Iterable[Frame]) -> Iterator[_Seen]:
        """Each frame's depth by itself, and how it follows from the frame before."""
        stream = iter(frames)
        before: Tensor | None = None
        while group := list(islice(stream, self.batch)):
            pictures = torch.cat([self._fitted(frame.planes) for frame in group])
            raw, luma = self._raw(pictures), motion.luma_of(pictures)
            small = _small(torch.cat([raw, luma], dim=1))
            shown = torch.cat([small[:1] if before is None else before, small])
            before = small[-1:]
            flow = motion.flow(shown[:-1, 1:], shown[1:, 1:])
            link = links(shown[:, :1], flow, trust_in(flow, shown[:, 1:]))
            for number, frame in enumerate(group):
                at = slice(number, number + 1)
                yield _Seen(raw[at], luma[at], flow[at], link[at], frame.begins_shot)

    def _fitted(self, planes: Tensor) -> Tensor:
        """[1, 3, h, w] in [0, 1]: a frame in a size that the network takes."""
        height, width = planes.shape[-2:]
        scale = self.side / min(height, width)
        size = [
            PATCH * max(1, round(min(pixels * scale, LONGEST * self.side) / PATCH))
            for pixels in (height, width)
        ]
        picture = unit(planes.to(self.device))
        return functional.interpolate(
            picture, size, mode="bicubic", antialias=True
        ).clamp_(0.0, 1.0)

    def _raw(self, pictures: Tensor) -> Tensor:
        mean, deviation = (
            torch.tensor(of, device=self.device)[:, None, None]
            for of in (MEAN, DEVIATION)
        )
        normal = ((pictures - mean) / deviation).to(self.dtype)
        normal = normal.contiguous(memory_format=torch.channels_last)
        return self.network(normal)[:, None].float()


def _averaged(seen: Iterable[_Seen], own: range) -> Iterator[_Seen]:
    """The own ones, their depth averaged with that of the frames around them."""
    for window in windows(seen, own=own, size=WINDOW, context=AVERAGED):
        if len(window.items) == 1:
            yield from window.items
            return
        scale, offset = _gauge(window.items)
        raw, luma, flow, _, begins_shot = zip(*window.items, strict=True)
        depth = torch.cat(raw) * scale + offset
        same_shot = ~torch.tensor(
            begins_shot[1:], dtype=torch.bool, device=depth.device
        )
        steady = along_motion(
            depth,
            torch.cat(luma),
            _enlarged(torch.cat(flow[1:]), depth.shape[-2:]),
            same_shot,
            window.own,
            reach=AVERAGED,
        )
        for number, made in zip(window.own, steady, strict=True):
            own_scale = (made[None] - offset[number]) / scale[number]
            yield window.items[number]._replace(raw=own_scale)


def _gauge(seen: tuple[_Seen, ...]) -> tuple[Tensor, Tensor]:
    """Scale and offset [L, 1, 1, 1] that bring frames of a shot to one scale.

    That scale is their geometric mean, so that no single frame, blank perhaps, sets it.
    """
    link = torch.cat([one.link for one in seen])
    joined = torch.tensor([not one.begins_shot for one in seen], device=link.device)
    joined[0] = False
    logarithm = torch.where(joined, link[:, 0].log(), 0.0).cumsum(0)
    scale = (logarithm.mean() - logarithm).exp()
    offset = -torch.where(joined, scale * link[:, 1], 0.0).cumsum(0)
    return scale[:, None, None, None], offset[:, None, None, None]


def _small(pictures: Tensor) -> Tensor:
    height, width = pictures.shape[-2:]
    scale = min(1.0, (FOLLOWED / (height * width)) ** 0.5)
    size = (max(8, round(height * scale)), max(8, round(width * scale)))
    return functional.interpolate(pictures, size, mode="area")


def _enlarged(flow: Tensor, size: torch.Size) -> Tensor:
    """Flow for larger pictures, in their pixels."""
    height, width = flow.shape[-2:]
    ratio = torch.tensor([size[1] / width, size[0] / height], device=flow.device)
    large = functional.interpolate(flow, tuple(size), mode="bilinear")
    return large * ratio[:, None, None]
