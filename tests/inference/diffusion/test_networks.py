"""The networks as they come from a folder, and what they are given."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from contract.errors import ErrorCode, StereoSpotError
from inference.diffusion.clip import MEAN, STD, normalised
from inference.diffusion.networks import Networks
from inference.hardware import Hardware
from inference.memory import is_out_of_memory
from tests.inference.diffusion.tiny import BASE, DEPTH

ENCODER = f"{BASE}/image_encoder/model.fp16.safetensors"
IDS = (7.0, 127.0, 0.02)


@pytest.fixture
def copied(weights, tmp_path):
    """The weights, to be damaged."""
    shutil.copytree(weights, tmp_path / "weights")
    return tmp_path / "weights"


def refused(copied) -> StereoSpotError:
    with pytest.raises(StereoSpotError) as refusal:
        Networks.load(copied / BASE, copied / DEPTH)
    assert refusal.value.code is ErrorCode.WEIGHTS_CORRUPT
    return refusal.value


@pytest.mark.parametrize(
    "file",
    [
        f"{BASE}/scheduler/scheduler_config.json",
        f"{BASE}/image_encoder/config.json",
        f"{BASE}/image_encoder/model.fp16.safetensors",
        f"{BASE}/vae/diffusion_pytorch_model.fp16.safetensors",
        f"{DEPTH}/config.json",
        f"{DEPTH}/diffusion_pytorch_model.safetensors",
    ],
)
@pytest.mark.parametrize("damage", ["missing", "cut short", "empty"])
def test_a_damaged_file_is_named_as_such(copied, file, damage):
    path = copied / file
    whole = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(whole[: len(whole) // 2] if damage == "cut short" else b"")
    assert str(path.parent) in refused(copied).message


def test_weights_of_another_network_are_not_taken(copied):
    config = copied / DEPTH / "config.json"
    facts = json.loads(config.read_text())
    config.write_text(json.dumps(facts | {"layers_per_block": 2}))
    assert str(copied / DEPTH) in refused(copied).message


@pytest.mark.parametrize("fault", ["missing", "unexpected"])
def test_weights_of_too_few_or_too_many_tensors_are_not_taken(copied, fault):
    name = "visual_projection.weight"
    tensors = load_file(copied / ENCODER)
    tensors["another.weight"] = tensors[name].clone()
    if fault == "missing":
        tensors.pop(name)
        tensors.pop("another.weight")
    save_file(tensors, copied / ENCODER, metadata={"format": "pt"})

    assert f"{fault} tensors: 1" in refused(copied).message


def test_weights_of_another_shape_are_not_taken(copied):
    tensors = load_file(copied / ENCODER)
    tensors["visual_projection.weight"] = torch.zeros(5, 32, dtype=torch.float16)
    save_file(tensors, copied / ENCODER, metadata={"format": "pt"})

    assert str((copied / ENCODER).parent) in refused(copied).message


@pytest.mark.parametrize(
    ("part", "facts"),
    [
        ("image_encoder/config.json", []),
        ("image_encoder/config.json", {"patch_size": 0}),
        ("vae/config.json", {"block_out_channels": "wide"}),
        ("scheduler/scheduler_config.json", {"beta_schedule": "unheard of"}),
        ("scheduler/scheduler_config.json", {"prediction_type": "epsilon"}),
    ],
)
def test_a_config_that_makes_no_sense_is_named(copied, part, facts):
    config = copied / BASE / part
    changed = json.loads(config.read_text()) | facts if facts else facts
    config.write_text(json.dumps(changed))

    assert str(config.parent) in refused(copied).message


def test_memory_that_runs_out_while_loading_is_not_taken_for_damage(
    copied, monkeypatch
):
    def full(*args: object, **kwargs: object) -> None:
        raise torch.OutOfMemoryError

    monkeypatch.setattr("safetensors.torch.load_file", full)

    with pytest.raises(OSError, match="Unable to load") as told:
        Networks.load(copied / BASE, copied / DEPTH)

    assert is_out_of_memory(told.value)


def test_the_class_name_in_a_config_does_not_matter(copied):
    config = copied / DEPTH / "config.json"
    facts = json.loads(config.read_text())
    config.write_text(json.dumps(facts | {"_class_name": "SomethingDepthCrafter"}))
    assert Networks.load(copied / BASE, copied / DEPTH).unet.config.in_channels == 8


def test_another_unet_shares_the_other_networks(depth_networks, inpainting_networks):
    assert inpainting_networks.vae is depth_networks.vae
    assert inpainting_networks.image_encoder is depth_networks.image_encoder
    assert inpainting_networks.unet.config.in_channels == 9


def test_the_schedule_is_the_published_one(depth_networks):
    schedule = depth_networks.schedule(5)
    published = [700, 134.854, 15.59, 0.6781, 0.002, 0]
    assert schedule.sigmas.tolist() == pytest.approx(published, rel=1e-4)
    assert float(schedule.init_noise_sigma) == pytest.approx(700.000714)
    assert float(schedule.timesteps[0]) == pytest.approx(1.6378, abs=1e-4)
    eight = depth_networks.schedule(8).timesteps.tolist()
    assert eight[-3:] == pytest.approx([0.0387, -0.5823, -1.5537], abs=1e-4)


@torch.inference_mode()
def test_each_frame_attends_to_its_own_embedding(depth_networks):
    """Equal frames with unequal embeddings differ, and by their own embedding."""
    still = torch.ones(3, 4, 8, 8)
    embeddings = torch.randn(3, 32, generator=torch.Generator().manual_seed(1))

    def made(shown):
        return depth_networks.denoise(still * 700, still, shown, time_ids=IDS, steps=1)

    changed = embeddings.clone()
    changed[2] = -changed[2]
    apart = (made(changed) - made(embeddings)).abs().mean(dim=(1, 2, 3))
    assert float(apart[2]) > 2 * float(apart[:2].max())
    one, thrice = embeddings[:1], embeddings[:1].expand(3, -1)
    assert torch.allclose(made(one), made(thrice), atol=1e-3)


@torch.inference_mode()
@pytest.mark.parametrize(("guidance", "passes"), [(1.0, 5), (1.2, 10)])
def test_without_guidance_the_unet_runs_once_a_step(depth_networks, guidance, passes):
    counted = []
    hook = depth_networks.unet.register_forward_hook(lambda *_: counted.append(1))
    depth_networks.denoise(
        torch.ones(2, 4, 8, 8) * 700,
        torch.zeros(2, 4, 8, 8),
        torch.zeros(2, 32),
        time_ids=IDS,
        steps=5,
        guidance=guidance,
    )
    hook.remove()
    assert len(counted) == passes


@torch.inference_mode()
def test_guidance_goes_past_what_the_condition_says(depth_networks):
    dice = torch.Generator().manual_seed(2)
    noise, shown = (torch.randn(2, 4, 8, 8, generator=dice) for _ in range(2))
    embeddings = torch.randn(2, 32, generator=dice)
    beginning = depth_networks.schedule(1).init_noise_sigma

    def made(on, guidance):
        return depth_networks.denoise(
            noise * beginning,
            shown * on,
            embeddings * on,
            time_ids=IDS,
            steps=1,
            guidance=guidance,
        )

    free, guided = made(0.0, 1.0), made(1.0, 1.0)
    per_frame = torch.tensor([1.0, 3.0])
    expected = free + per_frame[:, None, None, None] * (guided - free)
    assert torch.allclose(made(1.0, per_frame), expected, atol=1e-3)


@torch.inference_mode()
def test_latents_come_unscaled_and_go_back_scaled(depth_networks):
    pixels = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(3))
    latents = depth_networks.encode(pixels, batch=2)
    assert latents.shape == (3, 4, 8, 8)
    mode = depth_networks.vae.encode(pixels * 2 - 1).latent_dist.mode()
    assert torch.allclose(latents, mode, atol=1e-5)
    decoded = depth_networks.decode(latents, chunk=2)
    assert decoded.shape == (3, 3, 64, 64)
    assert decoded.min() >= 0
    assert decoded.max() <= 1
    alone = depth_networks.vae.decode(latents[2:] / 0.18215, num_frames=1).sample
    assert torch.allclose(decoded[2:], (alone / 2 + 0.5).clamp(0, 1), atol=1e-5)


@torch.inference_mode()
def test_noise_is_added_to_pixels_between_minus_one_and_one(depth_networks):
    grey, noise = torch.full((1, 3, 64, 64), 0.5), torch.full((1, 3, 64, 64), 0.2)
    assert torch.allclose(
        depth_networks.encode(grey, noise=noise),
        depth_networks.encode(grey + 0.1),
        atol=1e-5,
    )


@pytest.mark.parametrize("size", [(64, 64), (224, 224), (576, 1024), (90, 160)])
def test_clip_sees_a_flat_picture_as_its_colour(size):
    colour = torch.tensor([0.2, 0.5, 0.8])[:, None, None]
    seen = normalised(colour.expand(1, 3, *size))
    expected = (colour - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[
        :, None, None
    ]
    assert torch.allclose(seen, expected.expand(1, 3, 224, 224), atol=1e-5)


def test_clip_sees_no_moire():
    """Columns finer than 224 can show come out nearly grey."""
    columns = (torch.arange(1024) % 2).float().expand(1, 3, 576, 1024)
    seen = normalised(columns)[0] * torch.tensor(STD)[:, None, None]
    inner = seen[:, :, 8:-8]
    assert float(inner.std(dim=-1).max()) < 0.02


@torch.inference_mode()
def test_half_precision_encodes_in_single(weights):
    """On a CPU bfloat16 stands for what a card computes in."""
    half = Networks.load(
        weights / BASE,
        weights / DEPTH,
        hardware=Hardware(torch.device("cpu"), torch.bfloat16),
    )
    full = Networks.load(weights / BASE, weights / DEPTH)
    pixels = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(4))
    assert torch.equal(half.encode(pixels), full.encode(pixels))
    decoded = half.decode(full.encode(pixels) * 0.18215, chunk=2)
    assert decoded.dtype == torch.float32
    assert (
        float((decoded - full.decode(full.encode(pixels) * 0.18215, chunk=2)).std())
        < 0.02
    )
    latents = half.denoise(
        torch.ones(2, 4, 8, 8) * 700,
        half.encode(pixels),
        half.embed(pixels),
        time_ids=IDS,
        steps=2,
    )
    assert latents.dtype == torch.float32
    assert latents.isfinite().all()


@pytest.fixture
def half(weights) -> Networks:
    """As they are on a card."""
    hardware = Hardware(torch.device("cpu"), torch.float16)
    return Networks.load(weights / BASE, weights / DEPTH, hardware=hardware)


def overflow(networks: Networks) -> None:
    """Let the decoder pass through numbers that float16 does not hold, and back."""

    def through(layer: object, args: object, signal: torch.Tensor) -> torch.Tensor:
        return signal * 2.0**20 / 2.0**20

    networks.vae.decoder.conv_in.register_forward_hook(through)


@torch.inference_mode()
@pytest.mark.parametrize("offload", [False, True])
def test_what_the_decoder_overflows_at_is_decoded_again_in_single(
    half, depth_networks, caplog, offload
):
    half = replace(half, hardware=replace(half.hardware, offload=offload))
    overflow(half)
    latents = torch.randn(3, 4, 8, 8, generator=torch.Generator().manual_seed(6))

    decoded = half.decode(latents, chunk=2)

    expected = depth_networks.decode(latents, chunk=2)
    assert torch.allclose(decoded, expected, atol=1e-4)
    assert "again in float32" in caplog.text
    assert half.vae.decoder.conv_in.weight.dtype == torch.float16


@torch.inference_mode()
def test_latents_that_are_no_numbers_make_no_picture(half):
    with pytest.raises(FloatingPointError):
        half.decode(torch.full((1, 4, 8, 8), float("nan")), chunk=1)


@torch.inference_mode()
def test_networks_that_wait_off_the_card_do_the_same(depth_networks):
    away = replace(
        depth_networks, hardware=replace(depth_networks.hardware, offload=True)
    )
    pixels = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(5))
    assert torch.equal(away.embed(pixels), depth_networks.embed(pixels))
    assert torch.equal(away.encode(pixels), depth_networks.encode(pixels))
