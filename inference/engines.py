"""Engines by name: each is a depth estimator and a filler.

What an engine's networks need is imported with that engine: `preview` starts without it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from contract.errors import ErrorCode, StereoSpotError
from contract.generation import MAKER
from contract.modes import Engine
from inference.memory import enough_for
from inference.pipeline import Pipeline, Rendering
from inference.process import give_back_memory
from inference.stages.depth.preview import Preview
from inference.stages.fill.push_pull import push_pull

if TYPE_CHECKING:
    from inference.diffusion.networks import Networks
    from inference.generate import Clips
    from inference.hardware import Hardware
    from inference.stages.depth.anything import DepthAnything
    from inference.weights import Located, Repository

CPU_SIDE = 252
"""Pixels of the shorter side that `fast` sees on a CPU: 0.5 s a frame on one core,
where the 518 that its network was trained on take 3.7 s."""

T = TypeVar("T")


@overload
def pipeline_for(
    engine: Engine, *, reference: bool = ..., depth: Literal[True] = ...
) -> Pipeline: ...


@overload
def pipeline_for(
    engine: Engine, *, reference: bool = ..., depth: bool
) -> Rendering: ...


def pipeline_for(
    engine: Engine, *, reference: bool = False, depth: bool = True
) -> Rendering:
    """The pipeline of an engine, ready to run; its weights are fetched where they are not here.

    With `reference` the published algorithm, faults included, to compare by. Without
    `depth` what there is to it for films that bring their own: nothing is fetched or
    loaded for depth. Whoever changes what a pipeline makes of the same frames changes its
    version.

    Pipelines of one engine share its networks, which are kept until `forget`, or until
    another engine is asked for: so asking again costs nothing. Whoever keeps pipelines of
    several engines keeps the networks of all.

    StereoSpotError: MISCONFIGURED for an engine that has no reference, OUT_OF_MEMORY
    where the networks do not fit, and what `inference.weights.fetch` and
    `inference.hardware.hardware_for` raise.
    """
    if reference and not engine.has_reference:
        having = ", ".join(known for known in Engine if known.has_reference)
        raise StereoSpotError(
            ErrorCode.MISCONFIGURED,
            f"{engine} has no published algorithm to compare by: leave the reference "
            f"mode out, or choose {having}.",
        )
    with enough_for(
        f"The networks of {engine} take more memory than is free: end what else uses it."
    ):
        match engine:
            case Engine.PREVIEW:
                return Pipeline(depth=Preview(), fill=push_pull, version="preview-3")
            case Engine.FAST:
                return _fast(depth=depth)
            case Engine.STEREOCRAFTER:
                return _stereocrafter(reference=reference, depth=depth)


def clips() -> Clips:
    """What makes clips of prompts, ready to run; kept as an engine's networks are.

    StereoSpotError: as `Clips.ready`.
    """
    from inference.generate import Clips

    return _shelf.kept(MAKER, "clips", Clips.ready)


def forget() -> None:
    """Let go of the networks that are kept; a pipeline that is in use keeps its own."""
    _shelf.clear()


class _Shelf:
    """What was loaded for one engine or for clips, whichever was asked for last.

    Two engines' networks need not fit into memory together.
    """

    def __init__(self) -> None:
        self._engine: str | None = None
        self._kept: dict[str, Any] = {}

    def kept(self, engine: str, name: str, make: Callable[[], T]) -> T:
        if engine != self._engine:
            self.clear()
            self._engine = engine
        if name not in self._kept:
            try:
                self._kept[name] = make()
            except Exception:
                # The next try is to find the memory, and to choose by what is free then.
                self.clear()
                raise
        found: T = self._kept[name]
        return found

    def clear(self) -> None:
        if not self._kept:
            return
        self._kept.clear()
        give_back_memory()


_shelf = _Shelf()


def _found(
    engine: Engine, *, depth: bool
) -> tuple[dict[Repository, Located], Hardware, str]:
    """Where the weights lie and what computes with them, and the version of both.

    What computes is chosen once: later its memory is taken, by the networks themselves.
    """
    from inference.hardware import hardware_for
    from inference.weights import fetch, version

    weights = _shelf.kept(
        engine, f"weights, depth {depth}", lambda: fetch(engine, depth=depth)
    )
    hardware = _shelf.kept(engine, "hardware", lambda: hardware_for(engine))
    return weights, hardware, f"{version(weights)}-{hardware.bits}bit"


def _fast(*, depth: bool) -> Rendering:
    from inference.stages.depth.anything import SIDE, DepthAnything
    from inference.weights import DEPTH_ANYTHING

    engine = Engine.FAST
    weights, hardware, marks = _found(engine, depth=depth)
    device = str(hardware.device)
    if not depth:
        return Rendering(fill=push_pull, version="fast-2", device=device)
    side = CPU_SIDE if hardware.device.type == "cpu" else SIDE

    def loaded() -> DepthAnything:
        folder = weights[DEPTH_ANYTHING].folder
        return DepthAnything.load(folder, hardware, side=side)

    return Pipeline(
        depth=_shelf.kept(engine, "depth", loaded),
        fill=push_pull,
        version=f"fast-2-{side}px-{marks}",
        device=device,
    )


def _stereocrafter(*, reference: bool, depth: bool) -> Rendering:
    from inference.diffusion.networks import Networks
    from inference.stages.depth import recipe
    from inference.stages.depth.depthcrafter import DepthCrafter
    from inference.weights import DEPTHCRAFTER, STEREOCRAFTER, SVD

    engine = Engine.STEREOCRAFTER
    weights, hardware, marks = _found(engine, depth=depth)

    def inpainting() -> Networks:
        folders = weights[SVD].folder, weights[STEREOCRAFTER].folder
        return Networks.load(*folders, hardware=hardware)

    networks = _shelf.kept(engine, "fill", inpainting)
    rendering = _inpainted(networks, marks, reference=reference)
    if not depth:
        return rendering
    sees = _shelf.kept(
        engine, "depth", lambda: networks.with_unet(weights[DEPTHCRAFTER].folder)
    )
    ours = replace(recipe.DEFAULT, pixels=hardware.pixels)
    chosen = recipe.REFERENCE if reference else ours
    return rendering.with_depth(DepthCrafter(sees, chosen), rendering.refine)


def _inpainted(networks: Networks, marks: str, *, reference: bool) -> Rendering:
    """What `stereocrafter` makes of depth, wherever that comes from."""
    from inference.stages.depth.refine import enlarged
    from inference.stages.fill import recipe
    from inference.stages.fill.stereocrafter import StereoCrafter
    from inference.stages.warp.published import published_splat

    device, pixels = str(networks.device), networks.hardware.pixels
    if reference:
        return Rendering(
            fill=StereoCrafter(networks, recipe.REFERENCE),
            version=f"stereocrafter-reference-2-{marks}",
            refine=enlarged,
            splat=published_splat,
            device=device,
        )
    tile = min(recipe.DEFAULT.tile_pixels, pixels)
    return Rendering(
        fill=StereoCrafter(networks, replace(recipe.DEFAULT, tile_pixels=tile)),
        version=f"stereocrafter-2-{pixels}px-{marks}",
        device=device,
    )
