from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from inference.windows import windows


def frames(count: int):
    return [torch.full((3, 2, 2), float(number)) for number in range(count)]


def look(frame):
    return frame[None, :1]


@given(
    lead=st.integers(0, 9),
    own=st.integers(1, 30),
    tail=st.integers(0, 9),
    size=st.integers(1, 8),
    context=st.integers(0, 7),
)
def test_each_own_frame_comes_once_with_its_whole_context(
    lead, own, tail, size, context
):
    count = lead + own + tail
    numbers = range(lead, lead + own)

    seen = []
    for window in windows(frames(count), look, own=numbers, size=size, context=context):
        assert len(window.frames) <= size
        shown = window.looks[:, 0, 0, 0].int().tolist()
        first = int(window.frames[0][0, 0, 0])
        last = first + len(window.frames) - 1
        assert shown[window.own.start] == first
        assert shown == list(
            range(max(0, first - context), min(count, last + context + 1))
        )
        seen += [int(frame[0, 0, 0]) for frame in window.frames]

    assert seen == list(numbers)


@pytest.mark.parametrize("count", [50, 500])
def test_no_more_frames_wait_than_a_window_and_its_context(count):
    read = 0

    def counted():
        nonlocal read
        for frame in frames(count):
            read += 1
            yield frame

    ahead = []
    for window in windows(counted(), look, own=range(count), size=4, context=3):
        ahead.append(read - int(window.frames[0][0, 0, 0]))

    assert max(ahead) == 4 + 3
