"""Engines by name: each is a depth estimator and a filler.

What an engine's networks need is imported with that engine: `preview` starts without it.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from contract.errors import ErrorCode, StereoSpotError
from contract.modes import Engine
from inference.pipeline import Pipeline
from inference.stages.depth.preview import Preview
from inference.stages.fill.push_pull import push_pull

CPU_SIDE = 252
"""Pixels of the shorter side that `fast` sees on a CPU: 0.5 s a frame on one core,
where the 518 that its network was trained on take 3.7 s."""


def pipeline_for(engine: Engine, *, reference: bool = False) -> Pipeline:
    """The pipeline of an engine, ready to run; its weights are fetched where they are not here.

    With `reference` the published algorithm, faults included, to compare by. Whoever
    changes what a pipeline makes of the same frames changes its version.

    StereoSpotError: MISCONFIGURED for an engine that has no reference, and what
    `inference.weights.fetch` and `inference.hardware.hardware_for` raise.
    """
    if reference and not engine.has_reference:
        having = ", ".join(known for known in Engine if known.has_reference)
        raise StereoSpotError(
            ErrorCode.MISCONFIGURED,
            f"{engine} has no published algorithm to compare by: leave the reference "
            f"mode out, or choose {having}.",
        )
    match engine:
        case Engine.PREVIEW:
            return Pipeline(depth=Preview(), fill=push_pull, version="preview-3")
        case Engine.FAST:
            return _fast()
        case Engine.STEREOCRAFTER:
            return _stereocrafter(reference=reference)


def _fast() -> Pipeline:
    from inference.hardware import hardware_for
    from inference.stages.depth.anything import SIDE, DepthAnything
    from inference.weights import DEPTH_ANYTHING, fetch, version

    weights = fetch(Engine.FAST)
    hardware = hardware_for(Engine.FAST)
    side = CPU_SIDE if hardware.device.type == "cpu" else SIDE
    return Pipeline(
        depth=DepthAnything.load(weights[DEPTH_ANYTHING].folder, hardware, side=side),
        fill=push_pull,
        version=f"fast-1-{version(weights)}-{side}px-{hardware.bits}bit",
        device=str(hardware.device),
    )


def _stereocrafter(*, reference: bool) -> Pipeline:
    from inference.diffusion.networks import Networks
    from inference.hardware import hardware_for
    from inference.stages.depth import recipe as depth
    from inference.stages.depth.depthcrafter import DepthCrafter
    from inference.stages.fill import recipe as fill
    from inference.stages.fill.stereocrafter import StereoCrafter
    from inference.stages.warp.published import published_splat
    from inference.weights import DEPTHCRAFTER, STEREOCRAFTER, SVD, fetch, version

    weights = fetch(Engine.STEREOCRAFTER)
    hardware = hardware_for(Engine.STEREOCRAFTER)
    seeing = Networks.load(
        weights[SVD].folder, weights[DEPTHCRAFTER].folder, hardware=hardware
    )
    inpainting = seeing.with_unet(weights[STEREOCRAFTER].folder)
    marks = f"{version(weights)}-{hardware.bits}bit"
    device = str(hardware.device)
    if reference:
        return Pipeline(
            depth=DepthCrafter(seeing, depth.REFERENCE),
            fill=StereoCrafter(inpainting, fill.REFERENCE),
            version=f"stereocrafter-reference-1-{marks}",
            refine=_enlarged,
            splat=published_splat,
            device=device,
        )
    return Pipeline(
        depth=DepthCrafter(seeing),
        fill=StereoCrafter(inpainting),
        version=f"stereocrafter-1-{marks}",
        device=device,
    )


def _enlarged(inverse_depth: Tensor, left: Tensor) -> Tensor:
    """As published: to the picture's size, and nothing more."""
    size = (left.shape[-2], left.shape[-1])
    return functional.interpolate(inverse_depth, size, mode="bilinear")
