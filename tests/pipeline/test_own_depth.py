"""Depth that a person brought: cut with the film, used frame by frame, and deleted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.urls import reverse

from apps.jobs import ledger, storage
from apps.jobs.models import Job
from apps.pipeline import chunk as chunking
from apps.pipeline import infer as inferring
from apps.pipeline import tasks
from apps.pipeline.tidy import tidy
from contract.errors import Blame, ErrorCode, StereoSpotError
from contract.keys import segments_prefix, sources_prefix
from contract.modes import Engine
from inference import engines
from inference.engines import pipeline_for
from tests.depths import depth_video, number_of
from tests.inference.films import TICK, film
from tests.inference.films import number_of as film_number_of
from tests.pipeline.test_tasks import deliver

pytestmark = pytest.mark.django_db(transaction=True)

FRAMES = 70
VARIABLE = tuple(number * 3003 + (number % 5) * 400 for number in range(FRAMES))
NOBODY_STOPS_IT: Any = SimpleNamespace(check=lambda: None)


@pytest.fixture
def film_path(tmp_path: Path) -> Path:
    """Of a variable rate, without a cut."""
    return film(tmp_path / "film.mp4", VARIABLE, tick=TICK, preset="ultrafast", g="10")


@pytest.fixture
def depth_path(tmp_path: Path) -> Path:
    return depth_video(tmp_path / "depth.mkv", FRAMES, size=(32, 24))


@pytest.fixture
def bring(alice, settings):
    """Makes a job of a film and a depth video, both in the store, ready to be cut."""
    settings.SEGMENT_SECONDS = 0.6

    def brought(film: Path, depth: Path, **fields: Any) -> Job:
        job = Job.objects.create(
            owner=alice,
            title="Rain",
            mode="sbs",
            max_disparity=10,
            depth_extension=depth.suffix[1:],
            **fields,
        )
        storage.source().put(job.source_key, film)
        storage.source().put(job.depth_key, depth)
        ledger.start(job.pk)
        return job

    return brought


def cut(job: Job) -> None:
    claimed = ledger.claim_stage(job.pk, Job.Status.CHUNKING)
    assert ledger.finish_chunk(claimed, chunking.chunk(claimed, NOBODY_STOPS_IT))


def test_frame_k_gets_depth_k_in_every_segment(
    bring, film_path, depth_path, monkeypatch
):
    plain = pipeline_for(Engine.PREVIEW)
    pairs: list[tuple[int, int]] = []

    def watched(left, disparity):
        half = left[0, :, : left.shape[-2] // 2]
        # The largest shift is 10 % of 64 pixels, and the screen lies at 0.5.
        inverse_depth = float(disparity.mean()) / 6.4 + 0.5
        pairs.append((film_number_of(float(half.mean())), number_of(inverse_depth)))
        return plain.splat(left, disparity)

    monkeypatch.setattr(
        engines, "pipeline_for", lambda engine, **_: replace(plain, splat=watched)
    )
    job = bring(film_path, depth_path)

    cut(job)
    segments = job.segments.order_by("index")
    for segment in segments:
        claim = inferring.SegmentClaim(ledger.claim_segment(job.pk, segment.index))
        inferring.infer(claim, NOBODY_STOPS_IT)

    assert len(segments) > 2
    assert [depth for _, depth in pairs] == list(range(FRAMES))
    assert [shown for shown, _ in pairs] == [number % 14 for number in range(FRAMES)]


def test_each_segment_has_a_depth_object_and_a_manifest_of_the_same_frames(
    bring, film_path, depth_path
):
    job = bring(film_path, depth_path)

    cut(job)

    there = storage.source().keys(segments_prefix(job.pk))
    segments = list(job.segments.select_related("job"))
    assert there == {key for s in segments for key in (s.source_key, s.depth_key)}
    for segment in segments:
        frames, depth = segment.get_frames(), segment.get_depth()
        assert depth is not None
        assert len(depth.frames.pts) == len(frames.pts)
        assert (depth.frames.lead, depth.frames.tail) == (frames.lead, frames.tail)
        assert depth.is_full_range


def letter(path: Path) -> Path:
    path.write_text("This is a letter, not a film.\n" * 100)
    return path


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (
            lambda path: depth_video(path, FRAMES - 1, size=(32, 24)),
            "The film has 70 frames and its depth video 69 frames: "
            "each frame needs its own depth.",
        ),
        (letter, "The depth video cannot be used. This file is no video"),
    ],
)
def test_a_depth_video_that_cannot_be_used_fails_the_job_with_what_to_do(
    bring, film_path, tmp_path, client, alice, make, says
):
    job = bring(film_path, make(tmp_path / "other.mkv"))

    with pytest.raises(StereoSpotError, match=says[:40]):
        deliver(tasks.chunk, str(job.pk))

    job.refresh_from_db()
    assert (job.status, job.error_code) == ("failed", "depth-unusable")
    assert ErrorCode(job.error_code).blame is Blame.USER
    client.force_login(alice)
    assert says in client.get(reverse("job", args=[job.pk])).text
    assert storage.source().keys(segments_prefix(job.pk)) == set()


def test_deleting_a_job_leaves_neither_its_depth_nor_the_segments_of_it(
    bring, film_path, depth_path, own_store
):
    job = bring(film_path, depth_path)
    cut(job)
    assert storage.source().keys(sources_prefix(job.pk)) == {
        job.source_key,
        job.depth_key,
    }

    ledger.delete(job.pk)
    tidy(job.pk)

    assert [path for path in own_store.rglob("*") if path.is_file()] == []
