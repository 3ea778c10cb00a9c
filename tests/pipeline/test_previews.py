"""Previews come from a process of their own, which may be lost and is never in the way."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from multiprocessing import active_children

import av
import numpy as np
import pytest

from apps.pipeline.previews import BusyError, Desk, Pixels, Question
from contract.errors import ErrorCode, StereoSpotError
from contract.modes import StereoMode, StereoSettings

WIDTH, HEIGHT = 160, 90


@pytest.fixture
def desk() -> Iterator[Desk]:
    desk = Desk()
    yield desk
    desk.close()


@pytest.fixture
def pixels() -> Pixels:
    """Ground below, sky above, and a red ball."""
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    picture[:45], picture[45:] = (120, 170, 250), (90, 120, 40)
    picture[30:60, 60:90] = (230, 30, 30)
    return Pixels(WIDTH, HEIGHT, picture.tobytes())


def ask(pixels: Pixels | None = None, **changes: object) -> Question:
    facts = {"name": "alice's", "mode": StereoMode.SBS, "settings": StereoSettings()}
    return Question(**(facts | changes), pixels=pixels)


def seen(jpeg: bytes) -> np.ndarray:
    with av.open(io.BytesIO(jpeg), format="mjpeg") as container:
        [frame] = container.decode(video=0)
        return frame.to_ndarray(format="rgb24").astype(int)


def test_a_frame_is_shown_once_and_asked_for_by_name(desk, pixels):
    shown = seen(desk.picture(ask(pixels)))
    deeper = seen(desk.picture(ask(settings=StereoSettings(max_disparity=6))))
    halved = seen(desk.picture(ask(mode=StereoMode.HALF_TAB)))

    given = np.frombuffer(pixels.rgb, np.uint8).reshape(HEIGHT, WIDTH, 3).astype(int)
    assert shown.shape == deeper.shape == (HEIGHT, 2 * WIDTH, 3)
    assert halved.shape == (HEIGHT, WIDTH, 3)
    assert np.abs(shown[:, :WIDTH] - given).mean() < 3
    assert np.abs(shown - deeper)[:, WIDTH:].max() > 50


def test_a_frame_that_was_not_shown_has_to_be_shown_first(desk, pixels):
    desk.picture(ask(pixels))

    assert desk.picture(ask(name="bob's")) is None


@pytest.mark.parametrize(
    ("size", "length"),
    [((0, 0), 0), ((161, 90), 43_470), ((4000, 90), 1_080_000), ((160, 90), 5)],
)
def test_a_frame_of_a_wrong_size_is_refused_and_the_next_is_served(
    desk, pixels, size, length
):
    with pytest.raises(StereoSpotError) as refused:
        desk.picture(ask(Pixels(*size, b"x" * length)))

    assert refused.value.code is ErrorCode.BAD_REQUEST
    assert desk.picture(ask(pixels))


def test_a_process_that_is_lost_is_replaced(desk, pixels):
    desk.picture(ask(pixels))
    [child] = active_children()
    child.kill()
    child.join()

    assert desk.picture(ask()) is None  # the new one has not seen it
    assert desk.picture(ask(pixels))


def test_a_process_that_nobody_asks_ends(pixels):
    desk = Desk(idle=0.2)
    desk.picture(ask(pixels))

    deadline = time.monotonic() + 60
    while active_children():
        assert time.monotonic() < deadline
        time.sleep(0.1)

    assert desk.picture(ask(pixels))
    desk.close()


def test_more_than_a_few_at_once_are_told_to_come_again(desk):
    with desk.seat(), desk.seat(), desk.seat():
        with desk.seat(), pytest.raises(BusyError), desk.seat():
            pass
        with desk.seat():
            pass
