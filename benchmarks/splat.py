"""The splat on a CPU against the obvious one: `python -m benchmarks.splat`."""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Callable
from statistics import median

import torch
from torch import Tensor

from inference.stages.warp.published import BASE, published_splat
from inference.stages.warp.splat import BLOCK, splat

Splat = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def scatter_splat(left: Tensor, disparity: Tensor) -> tuple[Tensor, Tensor]:
    """The published weighting in the obvious way: five planes through `scatter_add`.

    `left` [T, 3, H, W], `disparity` [T, 1, H, W]. It keeps the last row, at no cost.
    """
    frames, _, height, width = left.shape
    landing = torch.arange(width, device=left.device) - disparity
    first = landing.floor()
    share = landing - first
    lands = (first >= 0) & (first + 1 < width)
    weight = BASE**disparity
    sums = left.new_zeros(frames, 5, height, width)
    for at, cover in ((first, 1.0 - share), (first + 1.0, share)):
        cover = cover * lands
        parts = torch.cat([left * (weight * cover), weight * cover, cover], dim=1)
        index = at.clamp(0, width - 1).long().expand_as(parts)
        sums.scatter_add_(-1, index, parts)
    right = sums[:, :3] / sums[:, 3:4].clamp(min=1e-6)
    return right, 1.0 - sums[:, 4:].clamp(0.0, 1.0)


def scatter_in_blocks(left: Tensor, disparity: Tensor) -> tuple[Tensor, Tensor]:
    """The same, as many rows at a time as `splat` takes: they stay in a cache."""
    rows = max(1, BLOCK // left.shape[-1])
    blocks = zip(
        torch.split(left, rows, dim=2), torch.split(disparity, rows, dim=2), strict=True
    )
    rights, masks = zip(*(scatter_splat(*block) for block in blocks), strict=True)
    return torch.cat(rights, dim=2), torch.cat(masks, dim=2)


def scene(
    height: int, width: int, device: torch.device | str = "cpu"
) -> tuple[Tensor, Tensor]:
    """A picture of grain, and disparity of 2 % of its width: waves, and discs before them."""
    x = torch.linspace(0.0, 1.0, width, device=device)
    y = torch.linspace(0.0, 1.0, height, device=device)[:, None]
    near = 0.3 + 0.2 * torch.sin(9 * x + 4 * y) + 0.05 * torch.sin(60 * x)
    for across, radius, inverse_depth in ((0.3, 0.2, 0.9), (0.6, 0.15, 0.7)):
        inside = (x - across) ** 2 + (y - 0.5) ** 2 < radius**2
        near = torch.where(inside, inverse_depth, near)
    chance = torch.Generator().manual_seed(0)
    left = torch.rand(1, 3, height, width, generator=chance).to(device)
    return left, ((near - 0.5) * 0.02 * width)[None, None]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="1920x1080", help="of the picture, in pixels")
    parser.add_argument("--repeats", type=int, default=9)
    options = parser.parse_args()
    width, height = (int(side) for side in options.size.split("x"))
    torch.set_num_threads(1)
    # Others on the machine take time from all of them alike, so they take turns.
    rivals: dict[str, Splat] = {
        "splat": splat,
        "scatter_add": scatter_splat,
        "scatter_add, in blocks of rows": scatter_in_blocks,
        "published_splat (index_add)": published_splat,
    }
    taken: dict[str, list[float]] = {name: [] for name in rivals}
    left, disparity = scene(height, width)
    for number in range(options.repeats + 1):
        for name, rival in rivals.items():
            began = time.thread_time()
            rival(left, disparity)
            if number:  # the first round warms up
                taken[name].append(time.thread_time() - began)
    whole = median(taken["scatter_add"])
    print(f"{platform.processor() or platform.machine()}, torch {torch.__version__}")
    print(f"{width} × {height}, one thread, {options.repeats} rounds\n")
    print("| | ms, median | least | most | of scatter_add |\n|---|---|---|---|---|")
    for name, seconds in taken.items():
        figures = (f"{1e3 * of(seconds):.1f}" for of in (median, min, max))
        print(f"| {name} | {' | '.join(figures)} | {median(seconds) / whole:.2f} × |")


if __name__ == "__main__":
    main()
