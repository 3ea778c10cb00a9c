from __future__ import annotations

import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional
from transformers import (
    DepthAnythingConfig,
    DepthAnythingForDepthEstimation,
    Dinov2Config,
)

from contract.errors import ErrorCode, StereoSpotError
from contract.modes import StereoSettings
from inference.colour import sixteen_bits
from inference.hardware import Hardware
from inference.scene import views
from inference.shots import in_shots
from inference.stages.depth.anything import CONTEXT, DEVIATION, MEAN, DepthAnything

CPU = Hardware(torch.device("cpu"), torch.float32)
FRAMES = 34
SIDE = 98


@pytest.fixture(scope="module")
def scene():
    """The sample scene, pictures [34, 3, 98, 168] and inverse depth [34, 1, 98, 168]."""
    seen = [views(2 + n / 24, 168, SIDE, StereoSettings()) for n in range(FRAMES)]
    lefts, _, depths = zip(*seen, strict=True)
    return torch.stack(lefts), torch.stack(depths)


class Moody:
    """A network that knows the truth, and tells it in another scale for every frame.

    It knows a picture again by its looks.
    """

    def __init__(self, scene, *, mood: int, noise: float = 0.0, swing: float = 0.5):
        self.pictures, self.truth = scene
        self.dice = torch.Generator().manual_seed(mood)
        self.noise, self.swing = noise, swing

    def __call__(self, normal):
        mean, deviation = (torch.tensor(x)[:, None, None] for x in (MEAN, DEVIATION))
        return torch.stack([self.told(one * deviation + mean) for one in normal])

    def told(self, picture):
        apart = (self.pictures - picture).abs().mean(dim=(1, 2, 3))
        truth = self.truth[int(apart.argmin()), 0]
        scale, offset = torch.randn(2, generator=self.dice).tolist()
        grain = torch.randn(truth.shape, generator=self.dice) * self.noise
        return 5.0 * 2.0 ** (self.swing * scale) * (truth + grain) + offset


def estimated(network, pictures, own=None, cuts=()):
    frames = [
        frame._replace(begins_shot=number == 0 or number in cuts)
        for number, frame in enumerate(
            in_shots(sixteen_bits(picture[None]) for picture in pictures)
        )
    ]
    own = own or range(len(frames))
    estimator = DepthAnything(network, CPU.device, CPU.dtype, side=SIDE)
    return torch.cat([*estimator(iter(frames), own=own, seed=0)])


def correlation(a, b):
    return float(torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1])


def flicker(depth):
    """Mean change from frame to frame."""
    return float(depth.diff(dim=0).abs().mean())


def test_moods_of_the_network_do_not_show(scene):
    pictures, truth = scene

    depth = estimated(Moody(scene, mood=1, noise=0.02), pictures)

    calm = flicker(truth)
    raw = Moody(scene, mood=1, noise=0.02, swing=0.5)
    told = torch.stack([raw.told(picture) for picture in pictures]) / 5.0
    assert flicker(told) > 8 * calm
    assert flicker(depth) < 1.5 * calm
    for one, true in zip(depth, truth, strict=True):
        assert correlation(one, true) > 0.97


def test_grain_of_the_network_is_averaged_along_the_motion(scene):
    pictures, truth = scene
    clean = estimated(Moody(scene, mood=1), pictures, own=range(10, 16))

    depth = estimated(Moody(scene, mood=1, noise=0.05), pictures, own=range(10, 16))

    spread = truth[10:16].std()
    assert (depth - clean).std() < 0.35 * 0.05 * clean.std() / spread


@pytest.mark.parametrize("seam", [6, 13, 20])
def test_two_segments_agree_though_every_frame_of_each_run_has_its_mood(scene, seam):
    pictures, _ = scene
    whole = estimated(Moody(scene, mood=1), pictures)

    end, start = min(FRAMES, seam + 12), max(0, seam - 12)
    first = estimated(Moody(scene, mood=2), pictures[:end], own=range(seam))
    own = range(seam - start, FRAMES - start)
    second = estimated(Moody(scene, mood=3), pictures[start:], own=own)

    torch.testing.assert_close(torch.cat([first, second]), whole, atol=1e-3, rtol=0)


def test_context_is_the_overlap_that_chunk_gives_a_segment():
    assert CONTEXT == 12


def test_a_shot_is_not_mixed_with_the_one_before_it(scene):
    pictures, truth = scene
    after = estimated(Moody(scene, mood=1), pictures[:14])

    other = pictures[14:28].flip(-1)
    joined = estimated(
        Moody((torch.cat([pictures, other]), torch.cat([truth, truth[14:28]])), mood=2),
        torch.cat([other, pictures[:14]]),
        own=range(14, 28),
        cuts=(14,),
    )

    torch.testing.assert_close(joined, after, atol=1e-3, rtol=0)


def test_a_blank_picture_lies_at_one_depth():
    depth = estimated(lambda normal: 0.001 * normal[:, 0], torch.rand(3, 3, 20, 30))

    assert (depth - 0.5).abs().max() < 0.1


@pytest.mark.parametrize("size", [(36, 64), (64, 36), (10, 400), (98, 98)])
@pytest.mark.parametrize("count", [1, 2])
def test_any_size_and_length_has_depth(size, count):
    shapes = []

    def network(normal):
        shapes.append(normal.shape[-2:])
        return normal.mean(dim=1)

    depth = estimated(network, torch.rand(count, 3, *size))

    height, width = shapes[0]
    assert height % 14 == width % 14 == 0
    assert min(height, width) == SIDE
    assert depth.shape == (count, 1, height, width)
    assert depth.isfinite().all()


@pytest.mark.parametrize("count", [60, 120])
def test_no_more_frames_are_read_ahead_than_must_wait(count):
    read = 0

    def counted():
        nonlocal read
        dice = torch.Generator().manual_seed(0)
        planes = sixteen_bits(torch.rand(1, 3, 28, 28, generator=dice))
        for frame in in_shots([planes] * count):
            read += 1
            yield frame

    estimator = DepthAnything(
        lambda normal: normal[:, 0], CPU.device, CPU.dtype, side=28
    )
    made = estimator(counted(), own=range(count), seed=0)

    ahead = [read - number for number, _ in enumerate(made)]
    assert max(ahead) <= 8 + 8 + 12 + 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny model with random weights, in the layout of the real one."""
    torch.manual_seed(0)
    backbone = Dinov2Config(
        hidden_size=8,
        num_hidden_layers=4,
        num_attention_heads=2,
        image_size=56,
        patch_size=14,
        out_features=["stage1", "stage2", "stage3", "stage4"],
        reshape_hidden_states=False,
    )
    config = DepthAnythingConfig(
        backbone_config=backbone,
        reassemble_hidden_size=8,
        neck_hidden_sizes=[4, 4, 8, 8],
        fusion_hidden_size=4,
        head_hidden_size=4,
    )
    where = tmp_path_factory.mktemp("weights")
    DepthAnythingForDepthEstimation(config).save_pretrained(where)
    return where


def test_weights_from_a_folder_make_the_network_of_transformers(folder):
    estimator = DepthAnything.load(folder, CPU, side=56)
    normal = torch.randn(2, 3, 56, 84, generator=torch.Generator().manual_seed(0))

    model = DepthAnythingForDepthEstimation.from_pretrained(folder).eval()
    with torch.no_grad():
        expected = model(normal).predicted_depth

    assert expected.shape == (2, 56, 84)
    torch.testing.assert_close(estimator.network(normal), expected)


@pytest.mark.parametrize("fault", ["missing", "unexpected"])
def test_weights_of_too_few_or_too_many_tensors_are_not_taken(folder, tmp_path, fault):
    shutil.copytree(folder, tmp_path / "damaged")
    file = tmp_path / "damaged" / "model.safetensors"
    tensors = load_file(file)
    lost = tensors.pop("head.conv1.weight")
    if fault == "unexpected":
        tensors |= {"head.conv1.weight": lost, "another.weight": lost.clone()}
    save_file(tensors, file, metadata={"format": "pt"})

    with pytest.raises(StereoSpotError, match=f"{fault} tensors: 1") as refusal:
        DepthAnything.load(tmp_path / "damaged", CPU)

    assert refusal.value.code is ErrorCode.WEIGHTS_CORRUPT


def test_the_network_sees_pictures_normalised_as_it_was_trained():
    seen = []

    def network(normal):
        seen.append(normal)
        return normal[:, 0]

    grey = torch.full((1, 3, 28, 28), 0.5)
    estimated(network, grey)

    expected = (0.5 - torch.tensor(MEAN)) / torch.tensor(DEVIATION)
    got = functional.adaptive_avg_pool2d(seen[0], 1)[0, :, 0, 0]
    torch.testing.assert_close(got, expected, atol=1e-3, rtol=0)


def test_with_offload_the_network_is_on_the_card_only_while_it_computes(folder):
    hardware = Hardware(torch.device("meta"), torch.float32, offload=True)
    estimator = DepthAnything.load(folder, hardware, side=28)

    depth = estimator.network(torch.zeros(1, 3, 28, 28, device="meta"))

    assert depth.device.type == "meta"
