from __future__ import annotations

import pytest
import torch
from torch import nn

from contract.errors import Blame, ErrorCode, StereoSpotError
from contract.modes import Engine
from inference.hardware import Hardware, hardware_for
from inference.needs import LARGEST, NEEDS, SIZES, smaller

META = torch.device("meta")
"""Stands in for a card: memory of its own, and what is moved there is elsewhere."""


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    for name in ("DEVICE", "OFFLOAD", "COMPILE"):
        monkeypatch.delenv(f"INFERENCE_{name}", raising=False)


@pytest.fixture
def card(monkeypatch):
    """A machine with a card, on which a test says how much is free."""

    def has(
        free_gigabytes: float,
        capability: tuple[int, int] = (8, 0),
        *,
        total_gigabytes: float = 1000,
    ) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
        free = int(free_gigabytes * 1e9)
        total = int(total_gigabytes * 1e9)
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (free, total))
        monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _: 0)

    return has


@pytest.fixture
def no_card(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


def test_without_a_card_the_cpu_computes_in_float32(no_card):
    assert hardware_for(Engine.FAST) == Hardware(torch.device("cpu"), torch.float32)


def test_a_large_card_holds_everything_in_half_precision(card):
    card(80)

    assert hardware_for(Engine.STEREOCRAFTER) == Hardware(
        torch.device("cuda"), torch.float16
    )


def test_a_small_card_gets_one_network_at_a_time(card):
    card(24)

    assert hardware_for(Engine.STEREOCRAFTER).offload
    assert not hardware_for(Engine.FAST).offload


def test_what_networks_see_at_once_fits_onto_the_card(card):
    seen = {}
    for gigabytes in (80, 40, 24, 16, 12):
        card(gigabytes)
        chosen = hardware_for(Engine.STEREOCRAFTER)
        seen[gigabytes] = chosen.pixels
        needed = NEEDS[Engine.STEREOCRAFTER].bytes_for(
            1920, 1080, offload=chosen.offload, seen=chosen.pixels
        )
        assert needed <= gigabytes * 1e9

    assert seen[80] == seen[40] == LARGEST
    assert LARGEST > seen[24] > seen[16] > seen[12]


def test_offload_goes_before_seeing_less(card):
    card(36)

    chosen = hardware_for(Engine.STEREOCRAFTER)

    assert (chosen.offload, chosen.pixels) == (True, LARGEST)


def test_where_offload_is_forbidden_less_is_seen(card, monkeypatch):
    card(36)
    monkeypatch.setenv("INFERENCE_OFFLOAD", "0")

    assert hardware_for(Engine.STEREOCRAFTER).pixels < LARGEST


def test_without_a_card_as_much_is_seen_as_by_the_largest(no_card):
    assert hardware_for(Engine.STEREOCRAFTER).pixels == LARGEST


def test_a_card_too_small_for_an_engine_is_the_operators_to_change(card):
    card(1.6, total_gigabytes=2)

    with pytest.raises(
        StereoSpotError, match=r"2\.0 GB, too little for stereocrafter"
    ) as no:
        hardware_for(Engine.STEREOCRAFTER)
    assert no.value.code.blame is Blame.OPERATOR


def test_a_card_that_somebody_else_fills_is_tried_again_later(card):
    card(2, total_gigabytes=24)

    with pytest.raises(StereoSpotError, match=r"22\.0 of its 24\.0 GB") as no:
        hardware_for(Engine.STEREOCRAFTER)
    assert no.value.code is ErrorCode.OUT_OF_MEMORY
    assert no.value.code.blame is Blame.TRANSIENT


def test_what_does_not_fit_beside_our_own_networks_is_not_blamed_on_others(
    card, monkeypatch
):
    card(4, total_gigabytes=24)
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _: 19 * 10**9)
    hardware = Hardware(torch.device("cuda"), torch.float16)

    refusal = hardware.too_small("a film")

    assert refusal.code.blame is Blame.OPERATOR
    assert "24.0 GB, too little for a film" in str(refusal)


def test_a_machine_without_a_card_is_tried_again_later():
    refusal = Hardware(torch.device("cpu"), torch.float32).too_small("a film")

    assert refusal.code is ErrorCode.OUT_OF_MEMORY


def test_sizes_go_down_to_an_end():
    seen, sizes = LARGEST + 1, []
    while (seen := smaller(seen) or 0) > 0:
        sizes.append(seen)

    assert tuple(sizes) == SIZES


def test_an_old_card_that_is_slow_in_half_precision_computes_in_float32(card):
    card(80, capability=(6, 1))

    assert hardware_for(Engine.FAST).dtype is torch.float32


def test_the_environment_goes_before_what_the_machine_has(card, monkeypatch):
    card(80)
    monkeypatch.setenv("INFERENCE_OFFLOAD", "1")
    monkeypatch.setenv("INFERENCE_COMPILE", "1")
    asked = hardware_for(Engine.STEREOCRAFTER)
    monkeypatch.setenv("INFERENCE_DEVICE", "cpu")

    assert (asked.offload, asked.compile) == (True, True)
    assert hardware_for(Engine.STEREOCRAFTER).device == torch.device("cpu")


@pytest.mark.parametrize(
    ("name", "value"),
    [("DEVICE", "gpu"), ("DEVICE", "cuda:7"), ("OFFLOAD", "yes"), ("COMPILE", "2")],
)
def test_what_the_environment_cannot_mean_is_the_operators_to_mend(
    no_card, monkeypatch, name, value
):
    monkeypatch.setenv(f"INFERENCE_{name}", value)

    with pytest.raises(StereoSpotError, match=f"INFERENCE_{name}={value}") as refusal:
        hardware_for(Engine.FAST)
    assert refusal.value.code.blame is Blame.OPERATOR


def test_with_offload_a_network_is_on_the_card_only_while_it_computes():
    network = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}

    with Hardware(META, torch.float32, offload=True).on_card(network):
        there = {tensor.device for tensor in network.state_dict().values()}

    assert there == {META}
    after = network.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())


def test_a_network_comes_back_from_the_card_when_computing_fails():
    network = nn.Linear(3, 2)

    with (
        pytest.raises(torch.OutOfMemoryError),
        Hardware(META, torch.float32, offload=True).on_card(network),
    ):
        raise torch.OutOfMemoryError

    assert network.weight.device == torch.device("cpu")


def test_without_offload_a_network_stays_on_the_card():
    network = nn.Linear(3, 2)
    card = Hardware(META, torch.float32)

    card.settled(network)
    with card.on_card(network):
        pass

    assert network.weight.device == META


def test_with_offload_a_network_waits_in_the_cpus_memory():
    network = Hardware(META, torch.float32, offload=True).settled(nn.Linear(3, 2))

    assert network.weight.device == torch.device("cpu")


def test_a_network_is_compiled_where_that_is_asked(monkeypatch):
    compiled = []
    monkeypatch.setattr(nn.Module, "compile", lambda network: compiled.append(network))
    plain, asked = nn.Linear(3, 2), nn.Linear(3, 2)

    Hardware(torch.device("cpu"), torch.float32).settled(plain)
    Hardware(torch.device("cpu"), torch.float32, compile=True).settled(asked)

    assert compiled == [asked]


@pytest.mark.parametrize("engine", NEEDS)
def test_more_pixels_need_more_memory_and_offload_never_more(engine):
    small, large = (
        NEEDS[engine].bytes_for(*size, offload=False)
        for size in ((640, 360), (3840, 2160))
    )

    assert small < large
    assert NEEDS[engine].bytes_for(3840, 2160, offload=True) <= large


def test_the_estimate_for_depth_is_what_its_authors_report():
    needs = NEEDS[Engine.STEREOCRAFTER]
    depth_alone = needs.networks - 3.05  # without StereoCrafter's UNet

    at_576p = depth_alone + needs.per_megapixel * 1024 * 576 / 1e6
    at_256p = depth_alone + needs.per_megapixel * 512 * 256 / 1e6

    assert at_576p == pytest.approx(26, rel=0.2)
    assert at_256p == pytest.approx(9, rel=0.2)


def test_every_engine_with_weights_says_what_it_needs():
    assert set(NEEDS) == {engine for engine in Engine if engine.licence.name}
