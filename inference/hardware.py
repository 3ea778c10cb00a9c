"""Where networks compute, in what, and what is done when a card is small."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from contract.errors import ErrorCode, StereoSpotError
from contract.modes import Engine

log = logging.getLogger(__name__)

N = TypeVar("N", bound=nn.Module)

GB = 10**9


@dataclass(frozen=True, slots=True)
class Needs:
    """What an engine needs of a card's memory; docs/engines.md says whence each number."""

    networks: float
    """Gigabytes of all networks together, in half precision."""
    largest: float
    """Gigabytes of the largest of them."""
    per_megapixel: float
    """Gigabytes beside them for a million pixels of what a network sees at once."""
    seen: float
    """Millions of pixels that it sees at once of a large picture: a tile of it."""
    held: int
    """Bytes for a pixel of the film, of the frames that wait."""

    def bytes_for(self, width: int, height: int, *, offload: bool) -> int:
        """An estimate for films of width × height pixels."""
        pixels = width * height
        seen = min(self.seen, pixels / 1e6)
        weights = self.largest if offload else self.networks
        return int((weights + self.per_megapixel * seen) * GB) + self.held * pixels


NEEDS = {
    Engine.FAST: Needs(0.05, 0.05, 1.0, 0.5, 200),
    Engine.STEREOCRAFTER: Needs(7.6, 3.05, 43.0, 0.66, 1700),
}
"""Of the engines with networks. DepthCrafter's authors report 26 GB at 1024 × 576 pixels
and 9 GB at 512 × 256; StereoCrafter's users 30 GB at 1080p in four tiles."""

USUAL = (1920, 1080)
"""The film that is planned for before one is known."""


@dataclass(frozen=True, slots=True)
class Hardware:
    device: torch.device
    dtype: torch.dtype
    """Half precision on cards, as the weights are published; float32 elsewhere."""
    offload: bool = False
    """Networks wait in the CPU's memory, and are on the card while they compute."""
    compile: bool = False
    """Networks are compiled at their first run: minutes then, a little faster after."""

    @property
    def bits(self) -> int:
        """Of each number that networks compute with, which shapes the picture a little."""
        return torch.finfo(self.dtype).bits

    @contextlib.contextmanager
    def on_card(self, network: N) -> Iterator[N]:
        """The network on the device. With `offload` for as long as this lasts only.

        Its weights are copied there and forgotten after: those in the CPU's memory stay
        what they are, for computing with them changes nothing.
        """
        if not self.offload:
            yield network
            return
        stores: list[MutableMapping[str, Any]] = [
            store
            for module in network.modules()
            for store in (module._parameters, module._buffers)
        ]
        home = [dict(store) for store in stores]
        try:
            for store in stores:
                for name, tensor in store.items():
                    store[name] = self._copied(tensor)
            yield network
        finally:
            for store, kept in zip(stores, home, strict=True):
                store.update(kept)

    def _copied(self, tensor: Tensor | None) -> Tensor | None:
        if tensor is None:
            return None
        copy = tensor.detach().to(self.device)
        is_parameter = isinstance(tensor, nn.Parameter)
        return nn.Parameter(copy, requires_grad=False) if is_parameter else copy

    def settled(self, network: N) -> N:
        """The network, ready to run: where it stays, and compiled where that is asked."""
        if not self.offload:
            network.to(self.device)
        if self.compile:
            network.compile()
        return network


def hardware_for(engine: Engine) -> Hardware:
    """What this machine has for the engine, `INFERENCE_*` in the environment before all.

    The first CUDA card where there is one, else the CPU; Apple's GPU only when named. A
    card with too little free memory for everything at once is used with offload.
    StereoSpotError: MISCONFIGURED where the environment asks for what is not there,
    OUT_OF_MEMORY where not even the largest network fits.
    """
    device = _device(os.environ.get("INFERENCE_DEVICE", ""))
    free = _free_bytes(device)
    offload = _switch("INFERENCE_OFFLOAD")
    needs = NEEDS[engine]
    if free is not None:
        if free < needs.largest * GB:
            raise StereoSpotError(
                ErrorCode.OUT_OF_MEMORY,
                f"{device} has {free / GB:.1f} GB free, and {engine} needs "
                f"{needs.largest:.1f} GB for its largest network: use a larger card, or "
                "INFERENCE_DEVICE=cpu.",
            )
        if offload is None:
            offload = free < needs.bytes_for(*USUAL, offload=False)
    chosen = Hardware(
        device,
        _dtype(device),
        offload=bool(offload),
        compile=bool(_switch("INFERENCE_COMPILE")),
    )
    log.info("%s on %s", engine, chosen)
    return chosen


def _device(name: str) -> torch.device:
    if not name:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise StereoSpotError(
            ErrorCode.MISCONFIGURED,
            f"INFERENCE_DEVICE={name} cannot be used ({str(error).splitlines()[0]}): set "
            "cpu, cuda, cuda:1 …, mps, or nothing.",
        ) from error
    return device


def _dtype(device: torch.device) -> torch.dtype:
    """float16 where the card is fast at it. bfloat16 has fewer bits for shades of grey,
    and its range is not needed: what overflows (SVD's encoder) is run in float32.
    """
    if device.type == "cuda" and torch.cuda.get_device_capability(device) >= (7, 0):
        return torch.float16
    return torch.float32


def _free_bytes(device: torch.device) -> int | None:
    """On the card; None for what has no memory of its own."""
    if device.type != "cuda":
        return None
    free, _ = torch.cuda.mem_get_info(device)
    return free


def _switch(name: str) -> bool | None:
    """A variable of the environment that is 1 or 0, or unset."""
    value = os.environ.get(name, "")
    if value not in ("", "0", "1"):
        raise StereoSpotError(
            ErrorCode.MISCONFIGURED, f"{name}={value}: set 1, 0 or nothing."
        )
    return value == "1" if value else None
