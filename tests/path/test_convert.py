"""A film through the real stack: processes, PostgreSQL, SQS, two GPU workers."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stereospot.embedded import Services, free_port
from tests.depths import depth_video
from tests.path.films import eyes, facts, small_film, sound_only
from tests.path.stack import Machine


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    """A machine on which the stack runs."""
    folder = Path(tempfile.mkdtemp(prefix="stereospot-path-"))
    machine = Machine(folder / "data")
    with machine.up(f"127.0.0.1:{free_port()}"):
        machine.wait_for("SELECT count(*) > 0 FROM auth_user")
        yield machine
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_film(tmp_path_factory.mktemp("film") / "A walk – 東京.mp4")


@pytest.mark.parametrize(
    ("mode", "size", "name"),
    [
        ("sbs", (384, 108), "A walk – 東京_3D_LRF_Full_SBS.mp4"),
        ("half_tab", (192, 108), "A walk – 東京_3D_TB_HTAB.mp4"),
        ("anaglyph", (192, 108), "A walk – 東京_redcyan_dubois.mp4"),
    ],
)
def test_a_film_comes_out_in_3d_with_every_frame_and_its_own_sound(
    machine, film, tmp_path, mode, size, name
):
    done = machine.run("convert", str(film), str(tmp_path), "--mode", mode)

    assert done.returncode == 0, done.stderr + machine.logs()
    came_in, came_out = facts(film), facts(tmp_path / name)
    assert len(came_in.times) == 72
    assert came_out.times == came_in.times
    assert came_out.sound == came_in.sound
    assert came_out.size == size
    assert str(tmp_path / name) in done.stdout


def test_it_went_in_segments_through_both_queues_and_left_nothing_behind(
    machine, film, tmp_path
):
    machine.run("convert", str(film), str(tmp_path), "--max-disparity", "3")

    [(job, segments)] = machine.query(
        "SELECT id::text, total_segments FROM jobs_job WHERE max_disparity = 3"
    )
    assert segments >= 2
    machine.wait_for(
        # The next look at the store is the second one.
        "SELECT tidy_at > finished_at + interval '45 seconds' "
        f"FROM jobs_job WHERE id = '{job}'"
    )
    left = [p for p in machine.data_dir.rglob(f"*{job}*/**/*") if p.is_file()]
    assert sorted(p.name for p in left) == ["final.mp4", "source.mp4"]
    left = [p.name for p in (machine.data_dir / "tmp").iterdir()]
    assert [name for name in left if not name.endswith(".pulse")] == []


def test_the_same_command_again_gives_the_same_film_at_once(machine, film, tmp_path):
    first = machine.run("convert", str(film), str(tmp_path / "a.mp4"))
    jobs = machine.query("SELECT count(*) FROM jobs_job")

    again = machine.run("convert", str(film), str(tmp_path / "b.mp4"))

    assert (first.returncode, again.returncode) == (0, 0)
    assert machine.query("SELECT count(*) FROM jobs_job") == jobs
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def _text(path: Path, film: Path) -> None:
    path.write_text("This is a letter, not a film.\n" * 100)


def _empty(path: Path, film: Path) -> None:
    path.touch()


def _truncated(path: Path, film: Path) -> None:
    whole = film.read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3])


def _sound_only(path: Path, film: Path) -> None:
    sound_only(path)


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (_text, "not-a-video"),
        (_empty, "empty-file"),
        (_truncated, "truncated"),
        (_sound_only, "no-video-stream"),
    ],
)
def test_a_bad_film_gets_one_clear_line(machine, film, tmp_path, make, code):
    bad = tmp_path / "bad.mp4"
    make(bad, film)

    done = machine.run("convert", str(bad), str(tmp_path / "out.mp4"))

    assert done.returncode == 1
    line = done.stderr.strip().splitlines()[-1]
    assert line.startswith("CommandError: bad.mp4: ")
    assert line.endswith(f"[{code}]")
    assert "Traceback" not in done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["bad.mp4"]
    [(job, status)] = machine.query(
        "SELECT id::text, status FROM jobs_job WHERE title = 'bad' "
        "ORDER BY created_at DESC LIMIT 1"
    )
    assert status == "failed"
    objects = [p for p in machine.data_dir.rglob(f"*{job}*/**/*") if p.is_file()]
    assert [p.name for p in objects] == ["source.mp4"]


def test_a_film_of_one_frame_comes_out_as_one_frame(machine, tmp_path):
    film = small_film(tmp_path / "still.mp4", seconds=1 / 24)

    done = machine.run("convert", str(film), str(tmp_path / "out.mp4"))

    assert done.returncode == 0, done.stderr
    assert len(facts(tmp_path / "out.mp4").times) == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["FILM", "OUT", "--mode", "cube"], "Unknown mode 'cube'"),
        (["FILM", "OUT", "--engine", "magic"], "Unknown engine 'magic'"),
        (["FILM", "OUT", "--max-disparity", "50"], "max_disparity"),
        (
            ["FILM", "OUT", "--engine", "fast", "--reference"],
            "No algorithm is published for the engine fast: --reference goes with "
            "--engine stereocrafter.",
        ),
        (["FILM", "OUT", "--depth", "/nowhere/depth.mkv"], "cannot be read"),
        (["FILM", "FILM", "--depth", "FILM"], "name another file"),
        (["/nowhere/film.mp4", "OUT"], "cannot be read"),
        (["FILM", "/nowhere/out.mp4"], "cannot be written"),
        (["FILM", "/proc/out.mp4"], "cannot be written"),
        (["FILM", "FILM"], "name another file"),
    ],
)
def test_a_request_that_cannot_be_met_is_refused_before_anything_starts(
    film, tmp_path, arguments, says
):
    known = {"FILM": str(film), "OUT": str(tmp_path / "out.mp4")}
    elsewhere = Machine(tmp_path / "data")

    done = elsewhere.run("convert", *(known.get(word, word) for word in arguments))

    assert done.returncode == 1
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "data" / "postgres").exists()


def test_a_film_is_converted_by_the_depth_that_came_with_it(machine, film, tmp_path):
    flat = depth_video(tmp_path / "flat.mkv", 72, size=(96, 54), is_flat=True)

    done = machine.run(
        *("convert", str(film), str(tmp_path / "out.mp4"), "--depth", str(flat)),
        *("--convergence", "0.5", "--max-disparity", "4"),
    )

    assert done.returncode == 0, done.stderr + machine.logs()
    assert facts(tmp_path / "out.mp4").times == facts(film).times
    # All of it lies in the screen plane, so both eyes see the same but for the codec.
    for left, right in eyes(tmp_path / "out.mp4"):
        assert np.abs(left - right).mean() < 3


def test_too_few_pictures_of_depth_get_one_clear_line(machine, film, tmp_path):
    short = depth_video(tmp_path / "short.mkv", 71)

    done = machine.run(
        *("convert", str(film), str(tmp_path / "out.mp4"), "--depth", str(short))
    )

    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1] == (
        "CommandError: A walk – 東京.mp4: The film has 72 frames and its depth video "
        "71 frames: each frame needs its own depth. [depth-unusable]"
    )
    assert not (tmp_path / "out.mp4").exists()


def test_two_machines_in_one_work_side_by_side_without_an_ffmpeg(film, tmp_path):
    bare = {"PATH": _path_without_ffmpeg()}
    machines = [Machine(tmp_path / name, bare) for name in ("one", "two")]

    running = [
        machine.start("convert", str(film), str(tmp_path / f"{n}.mp4"))
        for n, machine in enumerate(machines)
    ]
    ended = [process.communicate(timeout=240) for process in running]

    assert [process.returncode for process in running] == [0, 0], ended
    for n, machine in enumerate(machines):
        assert facts(tmp_path / f"{n}.mp4").times == facts(film).times
        assert machine.processes() == []


def test_stopping_leaves_nothing_running_and_is_no_failure_of_the_film(tmp_path):
    film = small_film(tmp_path / "long.mp4", seconds=8)
    machine = Machine(tmp_path / "data")
    running = machine.start("convert", str(film), str(tmp_path / "out.mp4"))
    machine.wait_for("SELECT count(*) > 0 FROM jobs_segment WHERE status = 'running'")

    running.terminate()
    _, err = running.communicate(timeout=60)

    assert running.returncode == 130
    assert "goes on where it stopped" in err
    assert machine.processes() == []
    assert sorted(p.name for p in tmp_path.iterdir()) == ["data", "long.mp4"]
    again = machine.run("convert", str(film), str(tmp_path / "out.mp4"))
    assert again.returncode == 0, again.stderr + machine.logs()
    with Services(machine.data_dir, sqs=False):
        assert machine.query("SELECT sum(failures) FROM jobs_segment") == [(0,)]
        failed = "SELECT count(*) FROM jobs_event WHERE kind = 'attempt-failed'"
        assert machine.query(failed) == [(0,)]


def test_kill_9_of_the_command_alone_loses_nothing(tmp_path):
    film = small_film(tmp_path / "long.mp4", seconds=6)
    machine = Machine(tmp_path / "data")
    first = machine.start("convert", str(film), str(tmp_path / "out.mp4"))
    machine.wait_for("SELECT count(*) > 0 FROM jobs_segment WHERE status = 'running'")
    first.kill()
    first.communicate()

    again = machine.run("convert", str(film), str(tmp_path / "out.mp4"))

    assert again.returncode == 0, again.stderr + machine.logs()
    assert facts(tmp_path / "out.mp4").times == facts(film).times
    assert machine.processes() == []


def test_a_second_command_uses_the_first_one_s_stack_and_outlives_it(tmp_path):
    films = [
        small_film(tmp_path / f"{name}.mp4", seconds=seconds)
        for name, seconds in (("short", 1), ("long", 6))
    ]
    machine = Machine(tmp_path / "data")

    running = [
        machine.start("convert", str(film), str(tmp_path / f"{film.stem}-3d.mp4"))
        for film in films
    ]
    ended = [process.communicate(timeout=240) for process in running]

    assert [process.returncode for process in running] == [0, 0], ended
    for film in films:
        made = tmp_path / f"{film.stem}-3d.mp4"
        assert facts(made).times == facts(film).times
    assert machine.processes() == []


def test_an_address_that_is_taken_is_named_and_no_password_is_told(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"

        done = Machine(tmp_path / "data").run("up", "--address", address)

    assert done.returncode == 1
    assert address in done.stderr
    assert "password" not in done.stdout


def test_kill_9_of_everything_loses_nothing_that_was_done(tmp_path):
    film = small_film(tmp_path / "long.mp4", seconds=8)
    machine = Machine(tmp_path / "data")
    first = machine.start("convert", str(film), str(tmp_path / "out.mp4"))
    machine.wait_for("SELECT count(*) >= 2 FROM jobs_segment WHERE status = 'done'")
    done = (
        "SELECT index, attempt FROM jobs_segment WHERE status = 'done' ORDER BY index"
    )
    before = machine.query(done)
    machine.kill_everything()
    first.communicate()

    again = machine.run("convert", str(film), str(tmp_path / "out.mp4"))

    assert again.returncode == 0, again.stderr + machine.logs()
    assert facts(tmp_path / "out.mp4") == replace(facts(film), size=(384, 108))
    with Services(machine.data_dir, sqs=False):
        assert set(before) <= set(machine.query(done))
        assert machine.query("SELECT count(*) FROM jobs_job") == [(1,)]


def _path_without_ffmpeg() -> str:
    folders = os.environ["PATH"].split(os.pathsep)
    return os.pathsep.join(f for f in folders if not (Path(f) / "ffmpeg").exists())
