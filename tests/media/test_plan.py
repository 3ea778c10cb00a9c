"""Plans cover every frame once, end on cuts where they can, and know no splinters."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.pipeline.chunk import segment_seconds
from apps.pipeline.media.film import Film
from apps.pipeline.media.plan import plan, targets
from contract.keys import MAX_SEGMENTS
from contract.modes import Engine

COUNTS = st.integers(1, 5000)
TARGETS = st.integers(1, 700)
OVERLAPS = st.integers(0, 30)
CUTS = st.lists(st.integers(-10, 6000), max_size=60)


@given(COUNTS, TARGETS, CUTS, OVERLAPS)
def test_every_frame_belongs_to_exactly_one_segment(count, target, cuts, overlap):
    spans = plan(count, target, cuts, overlap)

    frames = [
        frame for span in spans for frame in range(span.first, span.first + span.count)
    ]
    assert frames == list(range(count))
    assert all(span.count > 0 for span in spans)


@given(COUNTS, TARGETS, CUTS, OVERLAPS)
def test_context_stays_inside_the_film(count, target, cuts, overlap):
    for span in plan(count, target, cuts, overlap):
        assert span.listed.start >= 0
        assert span.listed.stop <= count
        assert max(span.lead, span.tail) <= overlap


@given(COUNTS, TARGETS, CUTS)
def test_no_segment_is_a_splinter_or_too_long(count, target, cuts):
    spans = plan(count, target, cuts)

    if len(spans) > 1:
        assert min(span.count for span in spans) >= target / 2
    assert max(span.count for span in spans) <= target * 1.5


@given(COUNTS, TARGETS, CUTS)
def test_overlap_is_only_where_a_boundary_is_inside_a_shot(count, target, cuts):
    edges = {0, count, *cuts}

    for span in plan(count, target, cuts, overlap=12):
        assert (span.lead == 0) == (span.first in edges)
        assert (span.tail == 0) == (span.first + span.count in edges)


def test_a_boundary_moves_to_the_nearest_cut_within_half_the_target():
    spans = plan(1000, 100, cuts=[149, 130, 60, 395])

    assert [span.first for span in spans[:4]] == [0, 130, 230, 330]
    assert [span.lead for span in spans[:2]] == [0, 0]
    assert spans[4].first == 395


def test_a_long_film_gets_longer_segments_rather_than_too_many():
    spans = plan(1_000_000, 2, overlap=0)

    assert len(spans) <= MAX_SEGMENTS
    assert sum(span.count for span in spans) == 1_000_000


def test_targets_are_the_boundaries_of_a_film_without_cuts():
    assert targets(1000, 300) == [300, 600]
    assert targets(10, 300) == []


@pytest.mark.parametrize(
    ("count", "target", "overlap"), [(0, 1, 0), (1, 0, 0), (1, 1, -1)]
)
def test_a_plan_of_nothing_is_a_mistake(count, target, overlap):
    with pytest.raises(ValueError, match="a plan needs"):
        plan(count, target, [], overlap)


@pytest.mark.parametrize(
    ("engine", "size", "seconds"),
    [
        (Engine.PREVIEW, (1920, 1080), 20.0),
        (Engine.FAST, (1920, 1080), 20.0),
        (Engine.STEREOCRAFTER, (1280, 720), 13.6),
        (Engine.STEREOCRAFTER, (1920, 1080), 6.0),
        (Engine.STEREOCRAFTER, (3840, 2160), 1.5),
    ],
)
def test_a_slow_engine_has_segments_that_half_an_hour_suffices_for(
    settings, engine, size, seconds
):
    settings.SEGMENT_SECONDS = 20.0
    width, height = size
    film = Film(
        codec="h264",
        width=width,
        height=height,
        pixel_format="yuv420p",
        time_base=(1, 24),
        frame_rate=(24, 1),
        duration=60,
    )

    found = segment_seconds(film, engine)

    assert found == pytest.approx(seconds, rel=0.02)
    longest = 1.5 * found * 24 * width * height / 1e6
    assert longest * engine.seconds_per_megapixel <= 1800.01
    settings.SEGMENT_SECONDS = 0.5
    assert segment_seconds(film, engine) == 0.5


def test_context_begins_where_a_decoder_can():
    spans = plan(1000, 100, overlap=12, entries=range(0, 1000, 60))

    assert [span.listed.start % 60 for span in spans] == [0] * len(spans)
    assert {span.lead for span in spans[1:]} == {12}


def test_a_cut_is_liked_better_than_an_entry_point():
    spans = plan(300, 100, cuts=[60], entries=[88])

    assert [(span.first, span.lead) for span in spans] == [(0, 0), (60, 0), (160, 12)]
