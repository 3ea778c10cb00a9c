from __future__ import annotations

import shutil
import subprocess
import sys
import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import (
    DepthAnythingConfig,
    DepthAnythingForDepthEstimation,
    Dinov2Config,
)

from contract.errors import Blame, ErrorCode, StereoSpotError
from contract.modes import Engine, StereoMode, StereoSettings
from inference import engines, weights
from inference.diffusion.networks import CPU, Networks
from inference.engines import pipeline_for
from inference.hardware import Hardware
from inference.pipeline import Pipeline
from inference.stages.depth import recipe as depth
from inference.stages.fill import recipe as fill
from inference.stages.warp.published import published_splat
from tests.inference.diffusion.tiny import filled, save_networks

SIZE = (36, 64)
VERSIONS = [
    (Engine.PREVIEW, False),
    (Engine.FAST, False),
    (Engine.STEREOCRAFTER, False),
    (Engine.STEREOCRAFTER, True),
]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of every engine in the real layout, a thousandth of their size."""
    folder = tmp_path_factory.mktemp("weights")
    save_networks(folder)
    backbone = Dinov2Config(
        hidden_size=32,
        num_attention_heads=2,
        num_hidden_layers=4,
        image_size=518,
        patch_size=14,
        out_indices=[1, 2, 3, 4],
        apply_layernorm=True,
        reshape_hidden_states=False,
    )
    config = DepthAnythingConfig(
        backbone_config=backbone,
        reassemble_hidden_size=32,
        neck_hidden_sizes=[8, 8, 8, 8],
        fusion_hidden_size=8,
        head_hidden_size=8,
    )
    network = filled(DepthAnythingForDepthEstimation(config), seed=5).float()
    network.save_pretrained(folder / weights.DEPTH_ANYTHING.folder)
    return folder


@pytest.fixture
def machine(tiny: Path, monkeypatch) -> Iterator[Path]:
    """One with the tiny weights and no card."""
    monkeypatch.setenv(weights.FOLDER, str(tiny))
    monkeypatch.setenv("INFERENCE_DEVICE", "cpu")
    monkeypatch.delenv("INFERENCE_OFFLOAD", raising=False)
    engines.forget()
    yield tiny
    engines.forget()


@pytest.fixture(scope="module")
def pictures() -> list[torch.Tensor]:
    """Four frames of noise in stripes: something to see, nothing to know."""
    stream = np.random.RandomState(0)
    return [
        torch.from_numpy(
            stream.randint(0, 2**16, (3, 1, SIZE[1]))
            .repeat(SIZE[0], 1)
            .astype(np.uint16)
        )
        for _ in range(4)
    ]


def converted(engine, pictures, *, reference=False, seed=0):
    pipeline = pipeline_for(engine, reference=reference)
    return list(
        pipeline(
            pictures,
            own=range(1, 3),
            mode=StereoMode.SBS,
            settings=StereoSettings(max_disparity=10.0),
            seed=seed,
        )
    )


@pytest.mark.parametrize(("engine", "reference"), VERSIONS)
def test_every_engine_makes_stereo_pictures(machine, pictures, engine, reference):
    made = converted(engine, pictures, reference=reference)

    assert [picture.shape for picture in made] == [(1, 3, SIZE[0], 2 * SIZE[1])] * 2
    for picture in made:
        left, right = picture.split(SIZE[1], dim=-1)
        assert picture.isfinite().all()
        assert picture.min() >= 0.0
        assert picture.max() <= 1.0
        assert not torch.equal(left, right)


@pytest.mark.parametrize(("engine", "reference"), VERSIONS)
def test_the_same_seed_makes_the_same_film(machine, pictures, engine, reference):
    first = converted(engine, pictures, reference=reference, seed=7)
    again = converted(engine, pictures, reference=reference, seed=7)

    assert all(map(torch.equal, first, again))


def test_one_network_at_a_time_makes_the_same_film(machine, pictures, monkeypatch):
    together = converted(Engine.STEREOCRAFTER, pictures)
    monkeypatch.setenv("INFERENCE_OFFLOAD", "1")
    engines.forget()

    assert all(map(torch.equal, together, converted(Engine.STEREOCRAFTER, pictures)))


@pytest.mark.parametrize(("engine", "reference"), VERSIONS)
def test_a_version_names_the_engine(machine, engine, reference):
    version = pipeline_for(engine, reference=reference).version

    assert version.startswith(engine)
    assert ("reference" in version) is reference
    assert len(version) <= 64


@pytest.mark.parametrize("engine", [Engine.FAST, Engine.STEREOCRAFTER])
def test_a_version_names_the_weights(machine, engine):
    assert weights.version(weights.fetch(engine)) in pipeline_for(engine).version


def test_a_version_names_how_much_is_seen_at_once_for_it_shapes_the_picture(
    machine, monkeypatch
):
    small = replace(CPU, pixels=320 * 512)
    monkeypatch.setattr("inference.hardware.hardware_for", lambda engine: small)

    pipeline = pipeline_for(Engine.STEREOCRAFTER)

    assert f"-{320 * 512}px-" in pipeline.version
    assert pipeline.depth.recipe.pixels == 320 * 512
    assert pipeline.fill.recipe.tile_pixels == 320 * 512


@pytest.mark.parametrize("engine", [Engine.FAST, Engine.STEREOCRAFTER])
def test_a_film_that_brings_its_depth_needs_no_network_for_it(
    machine, monkeypatch, tmp_path, engine
):
    without = tmp_path / "without"
    shutil.copytree(machine, without)
    for repo in weights.FOR_DEPTH:
        shutil.rmtree(without / repo.folder)
    monkeypatch.setenv(weights.FOLDER, str(without))

    rendering = pipeline_for(engine, depth=False)

    assert not isinstance(rendering, Pipeline)
    assert rendering.version.startswith(engine)


def test_the_published_way_and_ours_share_their_networks(machine):
    ours = pipeline_for(Engine.STEREOCRAFTER)
    published = pipeline_for(Engine.STEREOCRAFTER, reference=True)
    without_depth = pipeline_for(Engine.STEREOCRAFTER, depth=False)

    assert published.depth.networks is ours.depth.networks
    assert published.fill.networks is without_depth.fill.networks
    assert published.fill.networks.vae is ours.depth.networks.vae


def test_another_engine_takes_the_place_of_the_one_before(machine):
    first = weakref.ref(pipeline_for(Engine.STEREOCRAFTER).fill.networks.vae)
    assert first() is not None

    pipeline_for(Engine.FAST)

    assert first() is None


def test_networks_that_do_not_fit_are_said_to(machine, monkeypatch):
    def full(*args: object, **kwargs: object) -> None:
        raise torch.AcceleratorError("CUDA error: out of memory", 2)

    monkeypatch.setattr(torch.nn.Module, "to", full)

    with pytest.raises(StereoSpotError, match="networks of fast take more") as told:
        pipeline_for(Engine.FAST)

    assert told.value.code is ErrorCode.OUT_OF_MEMORY


def test_after_a_failure_what_to_compute_with_is_chosen_anew(machine, monkeypatch):
    chosen: list[Hardware] = []

    def choose(engine: Engine) -> Hardware:
        chosen.append(replace(CPU, offload=bool(chosen)))
        return chosen[-1]

    monkeypatch.setattr("inference.hardware.hardware_for", choose)
    with monkeypatch.context() as once:
        once.setattr(Networks, "with_unet", lambda *args: [0] * 2**60)
        with pytest.raises(StereoSpotError):
            pipeline_for(Engine.STEREOCRAFTER)

    assert pipeline_for(Engine.STEREOCRAFTER).fill.networks.hardware.offload


def test_the_reference_is_the_published_algorithm_throughout(machine):
    pipeline = pipeline_for(Engine.STEREOCRAFTER, reference=True)

    assert pipeline.depth.recipe is depth.REFERENCE
    assert pipeline.fill.recipe is fill.REFERENCE
    assert pipeline.splat is published_splat
    small = torch.rand(1, 1, 4, 8)
    large = torch.nn.functional.interpolate(small, (8, 16), mode="bilinear")
    assert torch.equal(pipeline.refine(small, torch.rand(1, 3, 8, 16)), large)


@pytest.mark.parametrize("engine", [Engine.PREVIEW, Engine.FAST])
def test_an_engine_without_a_reference_says_so(engine):
    with pytest.raises(StereoSpotError, match="choose stereocrafter") as refusal:
        pipeline_for(engine, reference=True)

    assert refusal.value.code.blame is Blame.OPERATOR


def test_missing_weights_are_told_before_anything_is_loaded(machine, monkeypatch):
    monkeypatch.setenv(weights.FOLDER, str(machine / "nowhere"))

    with pytest.raises(StereoSpotError) as refusal:
        pipeline_for(Engine.STEREOCRAFTER)

    assert refusal.value.code is ErrorCode.WEIGHTS_CORRUPT


def test_preview_starts_without_the_networks_of_the_others():
    code = (
        "import sys; from contract.modes import Engine; "
        "from inference.engines import pipeline_for; pipeline_for(Engine.PREVIEW); "
        "print({'diffusers', 'transformers', 'huggingface_hub'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert done.stdout == "set()\n"


@pytest.mark.parametrize("engine", Engine)
def test_an_engine_is_free_for_commerce_unless_its_weights_are_not(engine):
    assert engine.licence.commerce is (engine is not Engine.STEREOCRAFTER)
    assert bool(engine.licence.name) is bool(weights.NEEDED[engine])
