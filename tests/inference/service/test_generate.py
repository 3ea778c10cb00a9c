"""A prompt becomes a clip, asked for as segments are, by tiny networks of the real layout."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import av
import pytest
from PIL import Image

from contract.errors import ErrorCode, StereoSpotError
from contract.generation import Generation
from inference.service.places import File, Object, places_of
from inference.service.settings import Settings
from tests.inference.generate.tiny import save_networks
from tests.inference.service.serving import Serving, body, serving

JOB = UUID("5d0f7c52-8d0e-4a53-9d3a-1f6f5c1b7d10")


@pytest.fixture(scope="module")
def server(root: Path, tmp_path_factory) -> Iterator[Serving]:
    weights = tmp_path_factory.mktemp("weights")
    save_networks(weights)
    with serving(
        inference_file_root=root, stereospot_weights=weights, inference_device="cpu"
    ) as server:
        yield server


def wish(target: Path, **fields: Any) -> dict[str, Any]:
    asked = {"prompt": "a red ball rolls", "output_uri": target.as_uri(), "seed": 4}
    small = {"width": 256, "height": 256, "frames": 5, "steps": 1}
    return {"task": "generate", **asked, **small, **fields}


def test_a_prompt_becomes_a_clip_once(server, target):
    before = server.conversions()

    first = server.post(wish(target))
    again = server.post(wish(target, attempt=2))

    assert first.status_code == 200, first.text
    assert (first.json()["task"], first.json()["frames"]) == ("generate", 5)
    assert again.json() == first.json()
    with av.open(str(target)) as clip:
        assert len(list(clip.decode(video=0))) == 5
    assert server.conversions() == before + 1
    assert 'engine="wan"' in server.http.get("/metrics").text


def test_a_clip_may_begin_with_a_picture(server, root, target):
    picture = root / "picture.png"
    Image.new("RGB", (64, 64), "white").save(picture)

    answer = server.post(wish(target, image_uri=picture.as_uri()))

    assert answer.status_code == 200, answer.text
    assert target.stat().st_size > 0


def test_films_are_converted_beside_clips(server, short, target):
    assert server.post(body(short, target)).json()["engine"] == "preview"
    assert server.post(wish(target.with_name("clip.mp4"))).status_code == 200


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"prompt": ""}, "prompt"),
        ({"frames": 6}, "4n + 1"),
        ({"width": 250}, "width"),
        ({"engine": "preview"}, "engine"),
        ({"task": "dream"}, "task"),
    ],
)
def test_what_cannot_be_made_is_told(server, target, wrong, told):
    answer = server.post(wish(target, **wrong))

    assert answer.status_code == 422
    assert told in answer.json()["message"]
    assert not target.exists()


def test_what_is_no_picture_is_told_and_leaves_nothing(server, root, target):
    (root / "text.png").write_text("no picture")

    answer = server.post(wish(target, image_uri=(root / "text.png").as_uri()))

    assert answer.json()["code"] == "bad-request"
    assert not target.exists()


# --- Where clips may go ------------------------------------------------------------


def places(settings: Settings, output: str, image: str | None = None):
    asked = Generation(prompt="rain", output_uri=output, image_uri=image)
    return places_of(asked, settings)


@pytest.fixture
def ours(root: Path) -> Settings:
    return Settings(
        source_bucket="source", result_bucket="result", inference_file_root=root
    )


def test_a_clip_is_a_source_or_a_final(ours, root):
    source = f"input/{JOB}/source.mp4"
    final = f"jobs/{JOB}/final.mp4"

    assert places(ours, f"s3://source/{source}").target == Object("source", source)
    assert places(ours, f"s3://result/{final}").target == Object("result", final)
    assert places(ours, (root / "a.mp4").as_uri()).target == File(root / "a.mp4")


@pytest.mark.parametrize(
    ("output", "image"),
    [
        (f"s3://result/input/{JOB}/source.mp4", None),
        (f"s3://source/jobs/{JOB}/final.mp4", None),
        (f"s3://result/jobs/{JOB}/segments/1.mp4", None),
        (f"s3://other/jobs/{JOB}/final.mp4", None),
        ("file:///etc/clip.mp4", None),
        (
            f"s3://source/input/{JOB}/source.mp4",
            f"s3://source/input/{uuid4()}/image.png",
        ),
        (f"s3://source/input/{JOB}/source.mp4", f"s3://source/input/{JOB}/source.mp4"),
    ],
    ids=["swapped", "swapped too", "segment", "bucket", "file", "job", "no image"],
)
def test_a_clip_goes_nowhere_else(ours, output, image):
    with pytest.raises(StereoSpotError) as refused:
        places(ours, output, image)

    assert refused.value.code is ErrorCode.FORBIDDEN_URI
