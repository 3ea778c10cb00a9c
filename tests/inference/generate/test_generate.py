"""A prompt becomes a clip, by networks of the real layout with random weights."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image

from contract.errors import ErrorCode, StereoSpotError
from contract.generation import Generation
from inference import weights
from inference.generate import Clips, first_picture, generate
from tests.inference.generate.tiny import save_networks

SMALL = {"width": 256, "height": 256, "frames": 5, "steps": 2}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    save_networks(folder)
    return folder


@pytest.fixture(scope="module")
def clips(folder: Path) -> Clips:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(weights.FOLDER, str(folder))
        return Clips.ready()


def wanted(**others) -> Generation:
    asked = {"prompt": "a red ball rolls", "output_uri": "file:///clip.mp4"}
    return Generation(**(asked | SMALL | others))


def test_a_clip_has_the_size_the_frames_and_the_rate_that_were_asked_for(
    clips, tmp_path
):
    steps = []
    made = generate(
        wanted(height=288, frames=9),
        tmp_path / "clip.mp4",
        clips=clips,
        on_step=steps.append,
    )

    with av.open(str(tmp_path / "clip.mp4")) as container:
        video = container.streams.video[0]
        shown = [frame.time for frame in container.decode(video)]
        assert (video.codec.name, video.width, video.height) == ("h264", 256, 288)
        assert video.codec_context.pix_fmt == "yuv420p"
        assert video.codec_context.colorspace == 1  # BT.709
    assert np.allclose(shown, np.arange(9) / 24, atol=1e-4)
    assert made.frames == 9
    assert [step for step in steps if step] == [1, 2]


def test_the_same_seed_gives_the_same_clip(clips):
    first, again = clips.frames(wanted(seed=7)), clips.frames(wanted(seed=7))

    assert torch.equal(first, again)


@pytest.mark.parametrize(
    "other",
    [
        {"seed": 8},
        {"prompt": "blue rain on the sea"},
        {"negative_prompt": "the sea"},
        {"steps": 3},
        {"guidance": 7.0},
    ],
)
def test_all_that_is_asked_for_shapes_the_clip(clips, other):
    assert not torch.equal(clips.frames(wanted()), clips.frames(wanted(**other)))


def test_a_clip_begins_with_the_picture_it_is_given(clips, tmp_path):
    plain = {}
    for shade in (0, 255):
        path = tmp_path / f"{shade}.png"
        Image.new("RGB", (400, 300), (shade, shade, shade)).save(path)
        plain[shade] = clips.frames(wanted(), image=path)

    # The networks are random, but the first frame is the picture's alone: seeds that
    # change the rest leave it.
    other = clips.frames(wanted(seed=9), image=tmp_path / "255.png")
    assert torch.allclose(plain[255][0], other[0], atol=1e-4)
    assert not torch.allclose(plain[255][1:], other[1:], atol=1e-2)
    assert not torch.allclose(plain[255][0], plain[0][0], atol=1e-2)


def test_the_picture_is_cut_to_the_clips_shape_not_squeezed(tmp_path):
    striped = np.zeros((100, 300, 3), np.uint8)
    striped[:, 100:200] = 255  # the middle third, square
    Image.fromarray(striped).save(tmp_path / "wide.png")

    fitted = np.asarray(first_picture(tmp_path / "wide.png", 256, 256))

    assert fitted.shape == (256, 256, 3)
    assert fitted[:, 10:-10].min() == 255  # beside its own edges only white


@pytest.mark.parametrize("content", [b"", b"GIF89a", b"\x89PNG\r\n\x1a\n" + b"\0" * 40])
def test_what_is_no_picture_is_refused(clips, tmp_path, content):
    (tmp_path / "picture").write_bytes(content)

    with pytest.raises(StereoSpotError) as refused:
        clips.frames(wanted(), image=tmp_path / "picture")

    assert refused.value.code is ErrorCode.BAD_REQUEST


def test_who_gives_up_between_two_steps_leaves_no_file(clips, tmp_path):
    class GivenUpError(Exception):
        pass

    def give_up(step):
        if step == 1:
            raise GivenUpError

    with pytest.raises(GivenUpError):
        generate(wanted(), tmp_path / "clip.mp4", clips=clips, on_step=give_up)

    assert list(tmp_path.iterdir()) == []
    assert len(clips.frames(wanted())) == 5  # the networks are none the worse


def test_networks_in_shards_are_the_same_networks(clips, tmp_path, monkeypatch):
    top = save_networks(tmp_path, shards=True)
    monkeypatch.setenv(weights.FOLDER, str(tmp_path))

    sharded = Clips.ready()

    assert len(list(top.glob("transformer/*-of-*.safetensors"))) > 1
    assert torch.equal(sharded.frames(wanted()), clips.frames(wanted()))


def test_a_shard_that_is_missing_is_named(tmp_path, monkeypatch):
    top = save_networks(tmp_path, shards=True)
    next(top.glob("transformer/*-00002-of-*.safetensors")).unlink()
    monkeypatch.setenv(weights.FOLDER, str(tmp_path))

    with pytest.raises(StereoSpotError, match="transformer/diffusion") as refused:
        Clips.ready()

    assert refused.value.code is ErrorCode.WEIGHTS_CORRUPT
