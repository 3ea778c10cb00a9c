"""Pictures as CLIP's image encoder wants them: small, without moiré, normalised."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

SIDE = 224

MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)
"""Of R, G, B in [0, 1] (OpenAI's CLIP; the same in SVD's feature_extractor/)."""


def normalised(pixels: Tensor) -> Tensor:
    """[T, 3, 224, 224] with the mean and deviation CLIP knows, of [T, 3, H, W] in [0, 1].

    Blurred by as much as it shrinks, then bicubic. The aspect is not kept, nor are values
    kept in [0, 1]: SVD was trained so.
    """
    signal = pixels.float() * 2.0 - 1.0
    for dim in (-2, -1):
        signal = _blurred(signal, dim)
    signal = functional.interpolate(
        signal, (SIDE, SIDE), mode="bicubic", align_corners=True
    )
    mean, std = (
        torch.tensor(values, device=pixels.device)[:, None, None]
        for values in (MEAN, STD)
    )
    return ((signal + 1.0) / 2.0 - mean) / std


def _blurred(signal: Tensor, dim: int) -> Tensor:
    """Gaussian along one side, as wide as skimage's `resize` blurs before it shrinks."""
    sigma = max((signal.shape[dim] / SIDE - 1.0) / 2.0, 1e-3)
    size = int(max(4.0 * sigma, 3.0)) | 1
    reach = size // 2
    offset = torch.arange(-reach, reach + 1, dtype=signal.dtype, device=signal.device)
    weight = torch.exp(-offset.square() / (2.0 * sigma**2))
    weight = weight / weight.sum()
    pad = (reach, reach, 0, 0) if dim == -1 else (0, 0, reach, reach)
    shape = (1, 1, 1, size) if dim == -1 else (1, 1, size, 1)
    padded = functional.pad(signal, pad, mode="reflect")
    kernel = weight.reshape(shape).expand(signal.shape[1], 1, *shape[2:])
    return functional.conv2d(padded, kernel, groups=signal.shape[1])
