from __future__ import annotations

import weakref
from typing import NamedTuple

import pytest

from inference.diffusion.chunks import chunks

SIZE, OVERLAP, TAIL = 23, 3, 23
PUBLISHED_TAIL = 20


class Item(NamedTuple):
    number: int
    begins_shot: bool


def shots(*lengths: int) -> list[Item]:
    firsts = [n == 0 for length in lengths for n in range(length)]
    return [Item(number, first) for number, first in enumerate(firsts)]


def cut(items: list[Item], tail: int = TAIL):
    return list(chunks(items, size=SIZE, overlap=OVERLAP, tail=tail))


def test_a_shot_of_fifty_is_cut_as_published():
    """Chunks 0…22, 20…42 and 30…49: the last one reaches 13 frames back."""
    found = [
        (chunk.fresh[0].number - chunk.reused, len(chunk.fresh) + chunk.reused)
        for chunk in cut(shots(50), PUBLISHED_TAIL)
    ]

    assert found == [(0, 23), (20, 23), (30, 20)]


@pytest.mark.parametrize("tail", [TAIL, PUBLISHED_TAIL])
@pytest.mark.parametrize("length", range(1, 71))
def test_every_frame_of_a_shot_of_any_length_is_fresh_once(length, tail):
    items = shots(length)

    found = cut(items, tail)

    assert [item for chunk in found for item in chunk.fresh] == items
    assert found[0].reused == 0
    assert all(chunk.reused <= chunk.fresh[0].number for chunk in found)
    assert all(len(c.fresh) + c.reused in (SIZE, tail) for c in found[1:])


@pytest.mark.parametrize("length", range(24, 71))
def test_a_later_chunk_never_has_less_to_hold_on_to_than_the_overlap(length):
    assert all(chunk.reused >= OVERLAP for chunk in cut(shots(length))[1:])


@pytest.mark.parametrize("length", [1, 3, 22, 23, 24, 43, 44])
def test_nothing_is_reused_over_a_cut(length):
    alone = cut(shots(length))

    after = cut(shots(30, length))[2:]

    assert [(len(c.fresh), c.reused) for c in after] == [
        (len(c.fresh), c.reused) for c in alone
    ]


def test_a_stream_that_begins_amid_a_shot_is_cut_all_the_same():
    amid = [Item(number, False) for number in range(30)]

    assert [(len(c.fresh), c.reused) for c in cut(amid)] == [(23, 0), (7, 16)]


def test_a_chunk_comes_as_soon_as_its_last_frame_was_read():
    read = []

    def reading():
        for item in shots(200):
            read.append(item)
            yield item

    for chunk in chunks(reading(), size=SIZE, overlap=OVERLAP, tail=TAIL):
        assert read[-1] == chunk.fresh[-1]


def test_no_more_than_one_chunk_is_kept_of_a_long_shot():
    class Heavy:
        begins_shot = False

    alive: weakref.WeakSet[Heavy] = weakref.WeakSet()
    most = 0

    def reading():
        nonlocal most
        for _ in range(200):
            item = Heavy()
            alive.add(item)
            most = max(most, len(alive))
            yield item

    for chunk in chunks(reading(), size=SIZE, overlap=OVERLAP, tail=TAIL):
        del chunk

    assert most <= SIZE + 1
