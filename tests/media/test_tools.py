"""ffmpeg is found, trusted only where it deserves it, and its complaints are told."""

from __future__ import annotations

import ffmpeg
import pytest

from apps.pipeline.media import tools
from contract.errors import ErrorCode, StereoSpotError


@pytest.mark.parametrize(
    ("banner", "usable"),
    [
        ("ffmpeg version 5.1.9-0+deb12u1 Copyright (c) 2000-2026", True),
        ("ffmpeg version n9.0.2 Copyright", True),
        ("ffmpeg version 7.1.1 Copyright", True),
        ("ffmpeg version N-118193-g5f38c82536 Copyright", True),
        ("ffmpeg version 7.0.2-static Copyright", False),
        ("ffmpeg version 4.4.2-0ubuntu0 Copyright", False),
        ("command not found", False),
    ],
)
def test_versions_that_crash_or_lack_options_are_refused(banner, usable):
    assert tools.is_usable_version(banner) is usable


def test_without_an_ffmpeg_of_its_own_a_machine_uses_the_wheels(monkeypatch):
    monkeypatch.setattr(tools.shutil, "which", lambda _: None)
    tools.find_ffmpeg.cache_clear()

    assert "imageio_ffmpeg" in tools.find_ffmpeg()

    monkeypatch.undo()
    tools.find_ffmpeg.cache_clear()


def test_the_last_thing_that_ffmpeg_said_is_told(tmp_path):
    missing = tools.local_input(tmp_path / "missing.mp4")

    with pytest.raises(StereoSpotError, match=r"No such file or directory"):
        tools.run_ffmpeg(missing.output(str(tmp_path / "out.mp4")), seconds=60)


def test_a_full_disk_is_the_operators(tmp_path):
    # A device that is always full, with a file name that ffmpeg takes.
    full = tmp_path / "full.nut"
    full.symlink_to("/dev/full")
    noise = ffmpeg.input("nullsrc=s=64x64:d=2", f="lavfi")

    with pytest.raises(StereoSpotError) as refusal:
        tools.run_ffmpeg(noise.output(str(full), vcodec="rawvideo"), seconds=60)

    assert refusal.value.code is ErrorCode.DISK_FULL


def test_ffmpeg_does_not_run_for_ever(tmp_path):
    endless = ffmpeg.input("nullsrc=s=64x64", f="lavfi", re=None)

    with pytest.raises(StereoSpotError) as refusal:
        tools.run_ffmpeg(endless.output(str(tmp_path / "out.nut")), seconds=1)

    assert refusal.value.code is ErrorCode.TOO_LARGE
