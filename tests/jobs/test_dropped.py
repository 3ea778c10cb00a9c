"""Which files of a folder have come whole."""

from __future__ import annotations

import os
from pathlib import Path

from apps.jobs.dropped import SETTLED_SECONDS, Dropped


def looked(dropped: Dropped, *times: float) -> list[list[str]]:
    """The names that were told at each of the times."""
    return [[path.name for path in dropped.settled(at)] for at in times]


def test_a_file_is_told_once_after_it_has_rested(tmp_path):
    (tmp_path / "film.mp4").write_bytes(b"film")

    told = looked(
        Dropped(tmp_path.iterdir), 0, SETTLED_SECONDS - 1, SETTLED_SECONDS, 60
    )

    assert told == [[], [], ["film.mp4"], []]


def test_a_file_that_still_grows_is_not_told(tmp_path):
    film = tmp_path / "film.mp4"
    dropped = Dropped(tmp_path.iterdir)

    for second in range(20):
        with film.open("ab") as file:
            file.write(b"more")
        assert looked(dropped, second) == [[]]

    assert looked(dropped, 19 + SETTLED_SECONDS) == [["film.mp4"]]


def test_an_empty_file_is_not_yet_a_film(tmp_path):
    (tmp_path / "film.mp4").touch()

    assert looked(Dropped(tmp_path.iterdir), 0, 1000) == [[], []]


def test_another_film_under_the_same_name_is_told_again(tmp_path):
    film = tmp_path / "film.mp4"
    film.write_bytes(b"first")
    dropped = Dropped(tmp_path.iterdir)
    looked(dropped, 0, 10)
    (tmp_path / "other").write_bytes(b"second")
    os.replace(tmp_path / "other", film)

    assert looked(dropped, 11, 20) == [[], ["film.mp4"]]


def test_a_file_that_vanishes_while_it_is_looked_at_is_none(tmp_path):
    assert looked(Dropped(lambda: [Path(tmp_path / "gone.mp4")]), 0, 10) == [[], []]
