"""Opening media and running ffmpeg: the only doors to files we did not write.

Both refuse every protocol but local files, and opening also refuses every format that
is text or a list of other files: a playlist uploaded as a film could otherwise read
whatever this machine can read.
"""

from __future__ import annotations

import ctypes
import errno
import re
import shutil
import signal
import subprocess
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any, Final, cast

import av
import ffmpeg
import imageio_ffmpeg
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from contract.errors import ErrorCode, StereoSpotError

# PyAV's own log callback takes Python's lock from libav's decoder threads and can hang
# for ever; libav's default callback does not know Python.
av.logging.restore_default_callback()
av.logging.set_libav_level(av.logging.FATAL)

FORMATS: Final = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,mpegts,mpeg,mpegvideo,avi,flv,asf,mxf,ogg,"
    "nut,rm,dv,wtv,gxf,ivf,h264,hevc,m4v,obu,yuv4mpegpipe,"
    "mp3,aac,flac,wav,w64,ac3,eac3,aiff,caf,amr"
)
"""Demuxers we open. The audio ones let us say that a file has no picture."""

_PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h
_OLDEST: Final = (5, 1)
"""First version with `-fps_mode`."""
_BROKEN: Final = (7, 0)
"""The static builds of 7.0 crash on transport streams."""


def open_media(path: Path, *, packets_only: bool = False) -> InputContainer:
    """Open a local file to read; raises av.error.FFmpegError or OSError.

    With `packets_only` no decoder is started, which costs 7 ms at 1080p. It is for mp4,
    whose packets have all their times: of others a decoder has to find out.
    """
    options = {"protocol_whitelist": "file", "format_whitelist": FORMATS}
    if packets_only:
        options["codec_whitelist"] = "none"
    return av.open(
        str(path),
        "r",
        options=options,
        # Tags in a legacy encoding are no reason to refuse a film.
        metadata_errors="ignore",
    )


def video_stream(container: InputContainer) -> VideoStream:
    """The film itself: the first video stream that can be decoded and is no cover."""
    for stream in container.streams.video:
        if is_cover(stream) or cast(object, stream.codec_context) is None:
            continue
        return stream
    raise StereoSpotError(
        ErrorCode.NO_VIDEO_STREAM,
        "This file has sound but no film: choose a file that contains video.",
    )


def is_cover(stream: VideoStream) -> bool:
    """Whether the stream is a still that accompanies the film."""
    return bool(stream.disposition & Disposition.attached_pic)


def decode(
    stream: VideoStream, packets: Iterable[Packet[VideoStream]]
) -> Iterator[VideoFrame]:
    """Frames of the packets; those that cannot be decoded give none, as in a player.

    A recording that begins inside a group of pictures has such packets at its start.
    """
    # A demuxer's own end mark would flush the decoder before we do.
    real = (packet for packet in packets if packet.size)
    for packet in chain(real, [None]):
        try:
            yield from stream.decode(packet)
        except av.error.InvalidDataError:
            continue


@cache
def find_ffmpeg() -> str:
    """Path of an ffmpeg that we trust: the machine's own, else the wheel's."""
    own = shutil.which("ffmpeg")
    if own is not None and _is_usable(own):
        return own
    return str(imageio_ffmpeg.get_ffmpeg_exe())


def is_usable_version(banner: str) -> bool:
    """Whether the first line of `ffmpeg -version` names a version that we can use."""
    match = re.match(r"ffmpeg version \D*(\d+)\.(\d+)", banner)
    if match is None:
        # A build from git carries no number; it is newer than anything we refuse.
        return banner.startswith("ffmpeg version N-")
    version = int(match[1]), int(match[2])
    return version >= _OLDEST and version != _BROKEN


def _is_usable(command: str) -> bool:
    banner = subprocess.run(
        [command, "-version"], capture_output=True, text=True, check=False, timeout=30
    )
    return is_usable_version(banner.stdout)


def local_input(path: Path, **options: Any) -> Any:
    """ffmpeg-python's input for a local file, which may not reach for anything else."""
    return ffmpeg.input(
        str(path), protocol_whitelist="file", format_whitelist=FORMATS, **options
    )


def run_ffmpeg(stream: Any, *, seconds: float) -> None:
    """Run a command built with ffmpeg-python, for at most so many seconds."""
    arguments = ffmpeg.compile(
        stream.global_args("-hide_banner", "-nostdin", "-loglevel", "error"),
        cmd=find_ffmpeg(),
        overwrite_output=True,
    )
    try:
        done = subprocess.run(
            arguments,
            capture_output=True,
            check=False,
            timeout=seconds,
            preexec_fn=die_with_parent,
        )
    except subprocess.TimeoutExpired as error:
        raise StereoSpotError(
            ErrorCode.TOO_LARGE,
            f"Preparing this film took longer than {seconds:.0f} s: "
            "upload it in shorter parts.",
        ) from error
    if done.returncode != 0:
        raise _failure(done.stderr.decode(errors="replace"))


def die_with_parent() -> None:
    """Ask Linux to kill this process once the one that started it is gone."""
    if prctl := getattr(ctypes.CDLL(None), "prctl", None):
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def media_failure(
    error: av.error.FFmpegError, code: ErrorCode, what: str
) -> StereoSpotError:
    """The error to raise instead; a full disk is the operator's, whatever we did."""
    if error.errno == errno.ENOSPC:
        return _disk_full()
    return StereoSpotError(code, f"{what}: {error.strerror}.")


def _disk_full() -> StereoSpotError:
    return StereoSpotError(
        ErrorCode.DISK_FULL, "The disk is full: free some space and retry."
    )


def _failure(stderr: str) -> StereoSpotError:
    if "No space left on device" in stderr:
        return _disk_full()
    lines = [line.strip() for line in stderr.splitlines()]
    told = [line for line in lines if line and line != "Conversion failed!"]
    reason = told[-1] if told else "it gave no reason"
    return StereoSpotError(
        ErrorCode.UNSUPPORTED_VIDEO, f"ffmpeg could not process this film: {reason}"
    )
