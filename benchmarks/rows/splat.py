"""The splat on one CPU thread, against the same picture through `scatter_add`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from benchmarks.parts import Bench
from benchmarks.row import Row, in_turns
from benchmarks.splat import Splat, scatter_splat, scene
from inference.stages.warp.splat import splat


def measure(bench: Bench) -> Iterator[Row]:
    (height, width), runs = ((36, 64), 1) if bench.quick else ((1080, 1920), 15)
    torch.set_num_threads(1)
    given = scene(height, width)
    ours, rival = partial(_taken, splat, *given), partial(_taken, scatter_splat, *given)
    in_turns(ours, rival, 1)  # caches and allocators are warm then
    figures = in_turns(ours, rival, runs)
    yield Row(
        f"splat, CPU, {width} × {height}", "ms", 0.5, "scatter_add in torch", *figures
    )


def _taken(splat: Splat, left: Tensor, disparity: Tensor) -> float:
    """Milliseconds of this thread."""
    began = time.thread_time()
    splat(left, disparity)
    return 1e3 * (time.thread_time() - began)
