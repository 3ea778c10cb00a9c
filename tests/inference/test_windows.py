from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.windows import windows


@given(
    lead=st.integers(0, 9),
    own=st.integers(1, 30),
    tail=st.integers(0, 9),
    size=st.integers(1, 8),
    context=st.integers(0, 7),
)
def test_each_own_item_comes_once_with_its_whole_context(
    lead, own, tail, size, context
):
    count = lead + own + tail
    numbers = range(lead, lead + own)

    seen = []
    for window in windows(range(count), own=numbers, size=size, context=context):
        assert len(window.own) <= size
        mine = [window.items[place] for place in window.own]
        first, last = mine[0], mine[-1]
        assert list(window.items) == list(
            range(max(0, first - context), min(count, last + context + 1))
        )
        seen += mine

    assert seen == list(numbers)


@pytest.mark.parametrize("count", [50, 500])
def test_no_more_is_read_ahead_than_a_window_and_its_context(count):
    read = 0

    def counted():
        nonlocal read
        for number in range(count):
            read += 1
            yield number

    ahead = []
    for window in windows(counted(), own=range(count), size=4, context=3):
        ahead.append(read - window.items[window.own.start])

    assert max(ahead) == 4 + 3
