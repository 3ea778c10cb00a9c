"""Stage 4 of 4: two eyes into one picture.

    left, right  [T, 3, H, W]    in [0, 1], display-coded R, G, B; H and W even
 →  stereo       [T, 3, H', W']  in [0, 1]; (W', H') = mode.packed_size(W, H)

The left eye lies left or on top. Halves are averages of two pixels, so that fine detail
turns grey instead of into moiré.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from contract.modes import StereoMode

# Red-cyan glasses on an LCD, E. Dubois 2009: a least-squares fit of what either eye sees
# through its filter to what it should see. Rows are R, G, B out; columns are R, G, B of
# one eye. The fit is made in linear light, and each eye's part is clipped before adding.
DUBOIS_LEFT = (
    (0.437, 0.449, 0.164),
    (-0.062, -0.062, -0.024),
    (-0.048, -0.050, -0.017),
)
DUBOIS_RIGHT = (
    (-0.011, -0.032, -0.007),
    (0.377, 0.761, 0.009),
    (-0.026, -0.093, 1.234),
)


def compose(left: Tensor, right: Tensor, mode: StereoMode) -> Tensor:
    """Both eyes in the layout of `mode`."""
    match mode:
        case StereoMode.SBS:
            return torch.cat([left, right], dim=-1)
        case StereoMode.HALF_SBS:
            halves = [functional.avg_pool2d(eye, (1, 2)) for eye in (left, right)]
            return torch.cat(halves, dim=-1)
        case StereoMode.TAB:
            return torch.cat([left, right], dim=-2)
        case StereoMode.HALF_TAB:
            halves = [functional.avg_pool2d(eye, (2, 1)) for eye in (left, right)]
            return torch.cat(halves, dim=-2)
        case StereoMode.ANAGLYPH:
            return _anaglyph(left, right)


def _anaglyph(left: Tensor, right: Tensor) -> Tensor:
    light = _mixed(_linear(left), DUBOIS_LEFT) + _mixed(_linear(right), DUBOIS_RIGHT)
    return _coded(light.clamp_(0.0, 1.0))


def _mixed(light: Tensor, matrix: tuple[tuple[float, ...], ...]) -> Tensor:
    weights = torch.tensor(matrix, dtype=light.dtype, device=light.device)
    return torch.einsum("oc,tchw->tohw", weights, light).clamp_(0.0, 1.0)


def _linear(coded: Tensor) -> Tensor:
    """Linear light of sRGB values (IEC 61966-2-1)."""
    return torch.where(
        coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4
    )


def _coded(linear: Tensor) -> Tensor:
    """sRGB values of linear light (IEC 61966-2-1)."""
    return torch.where(
        linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055
    )
