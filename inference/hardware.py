"""Where networks compute, in what, and what is done when a card is small."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from contract.errors import ErrorCode, StereoSpotError
from contract.modes import Engine
from inference.needs import GB, LARGEST, NEEDS, USUAL, Needs

log = logging.getLogger(__name__)

N = TypeVar("N", bound=nn.Module)

OURS = 1 * GB
"""Bytes of a card that torch does not count, and are ours or its driver's all the same.
What is missing beyond them, somebody else uses."""


class Memory(NamedTuple):
    """Bytes of a card."""

    free: int
    total: int


@dataclass(frozen=True, slots=True)
class Hardware:
    device: torch.device
    dtype: torch.dtype
    """Half precision on cards, as the weights are published; float32 elsewhere."""
    offload: bool = False
    """Networks wait in the CPU's memory, and are on the card while they compute."""
    compile: bool = False
    """Networks are compiled at their first run: minutes then, a little faster after."""
    pixels: int = LARGEST
    """The most that a network of diffusion sees at once; it shapes the picture."""

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

    def too_small(self, what: str) -> StereoSpotError:
        """The error for work that did not fit, even at its smallest."""
        ours = torch.cuda.memory_reserved(self.device) if self._is_card else 0
        return _too_small(self.device, what, _memory(self.device), ours)

    def forget(self) -> None:
        """Give the card's memory that is free inside of torch back to it."""
        if self._is_card:
            torch.cuda.empty_cache()

    @property
    def _is_card(self) -> bool:
        return self.device.type == "cuda"


def hardware_for(engine: Engine) -> Hardware:
    """What this machine has for the engine; see `hardware_within`."""
    return hardware_within(NEEDS[engine], engine)


def hardware_within(needs: Needs, name: str) -> Hardware:
    """What this machine has for the needs, `INFERENCE_*` in the environment before all.

    The first CUDA card where there is one, else the CPU; Apple's GPU only when named. A
    card with too little free memory for everything at once is used with offload, and if
    that is not enough, networks see fewer pixels at once.
    StereoSpotError: MISCONFIGURED where the environment asks for what is not there, or
    the card is too small for them, OUT_OF_MEMORY where it would do if nobody else
    used it.
    """
    device = _device(os.environ.get("INFERENCE_DEVICE", ""))
    memory = _memory(device)
    offload = _switch("INFERENCE_OFFLOAD")
    pixels = LARGEST
    if memory is not None:
        if memory.free < needs.least():
            what = f"{name} with one network at a time ({needs.least() / GB:.1f} GB)"
            raise _too_small(device, what, memory, 0)
        if offload is None:
            offload = memory.free < needs.bytes_for(*USUAL, offload=False)
        pixels = needs.size_for(memory.free, offload=offload)
    chosen = Hardware(
        device,
        _dtype(device),
        offload=bool(offload),
        compile=bool(_switch("INFERENCE_COMPILE")),
        pixels=pixels,
    )
    log.info("%s on %s", name, chosen)
    return chosen


def _too_small(
    device: torch.device, what: str, memory: Memory | None, ours: int
) -> StereoSpotError:
    """Nobody must act while something else uses the card, for that may end; once nothing
    does, trying again cannot help.
    """
    if memory is None:
        return StereoSpotError(
            ErrorCode.OUT_OF_MEMORY,
            f"The machine has too little free memory for {what}: end what else uses it.",
        )
    total, others = memory.total, memory.total - memory.free - ours
    if others > OURS:
        return StereoSpotError(
            ErrorCode.OUT_OF_MEMORY,
            f"{device} has too little free memory for {what}: something else uses "
            f"{others / GB:.1f} of its {total / GB:.1f} GB.",
        )
    return StereoSpotError(
        ErrorCode.MISCONFIGURED,
        f"{device} has {total / GB:.1f} GB, too little for {what}: use a card with more "
        "memory, INFERENCE_DEVICE=cpu, or another engine.",
    )


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


def _memory(device: torch.device) -> Memory | None:
    """Of the card; None for what has no memory of its own."""
    if device.type != "cuda":
        return None
    return Memory(*torch.cuda.mem_get_info(device))


def _switch(name: str) -> bool | None:
    """A variable of the environment that is 1 or 0, or unset."""
    value = os.environ.get(name, "")
    if value not in ("", "0", "1"):
        raise StereoSpotError(
            ErrorCode.MISCONFIGURED, f"{name}={value}: set 1, 0 or nothing."
        )
    return value == "1" if value else None
