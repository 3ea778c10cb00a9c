"""Folders of films through the real stack."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import pytest

from tests.path.films import facts, small_film
from tests.path.stack import Machine


@pytest.fixture
def films(tmp_path: Path) -> Path:
    folder = tmp_path / "films"
    folder.mkdir()
    small_film(folder / "one.mp4", seconds=1)
    small_film(folder / "two.mp4", seconds=2)
    (folder / "broken.mp4").write_bytes(b"no film")
    return folder


def test_a_folder_is_converted_and_what_is_no_film_is_told(films, tmp_path):
    target, machine = tmp_path / "3d", Machine(tmp_path / "data")

    done = machine.run("convert", str(films), str(target))

    assert done.returncode == 1
    assert "broken.mp4: " in done.stderr
    assert "1 of 3 films could not be converted" in done.stderr
    for name in ("one", "two"):
        made = target / f"{name}_3D_LRF_Full_SBS.mp4"
        assert facts(made).times == facts(films / f"{name}.mp4").times
    assert machine.processes() == []


def test_a_film_that_is_put_into_a_watched_folder_comes_out_in_3d(tmp_path):
    folder, target = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    target.mkdir()
    film = small_film(tmp_path / "film.mp4", seconds=1)
    machine = Machine(tmp_path / "data")

    watching = machine.start("watch", str(folder), str(target))
    assert watching.stdout is not None
    watching.stdout.readline()
    shutil.copy(film, folder / "Rain.mp4")
    machine.wait_for("SELECT count(*) > 0 FROM jobs_event WHERE kind = 'delivered'")
    watching.send_signal(signal.SIGINT)
    watching.communicate(timeout=60)

    made = target / "Rain_3D_LRF_Full_SBS.mp4"
    assert facts(made).times == facts(film).times
    assert machine.processes() == []
