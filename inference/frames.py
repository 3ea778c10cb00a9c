"""Segment objects → frames: exactly those the manifest lists, upright and whole."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import chain
from pathlib import Path

import av
import numpy as np
import torch
from av import FFmpegError, VideoFrame
from av.container import InputContainer
from av.error import InvalidDataError
from av.filter import Graph
from av.video.stream import VideoStream
from torch import Tensor

from contract.errors import ErrorCode, StereoSpotError
from contract.frames import DepthFrames, Picture, SegmentFrames
from inference.colour import Colours, Planes
from inference.grey import GreyReader
from inference.heartbeat import beat

log = logging.getLogger(__name__)

DAMAGED_ONE_IN = 10
"""Most frames that may be damaged: one of so many listed. Ordinary recordings have a few;
where there are more, it is the segment object that is wrong."""


def read_frames(
    source: Path, frames: SegmentFrames, picture: Picture
) -> Generator[Tensor]:
    """The listed frames of a segment object, in order: [3, H, W] uint16, R, G, B.

    Upright, deinterlaced, padded to even sizes, full range. Frames that are not listed
    are dropped. Raises UNREADABLE_SEGMENT when too many are missing or broken, or one has another size.
    """
    colours = Colours(picture)
    with _opened(source, "film") as (container, stream):
        listed = _listed(_decoded(container, stream), frames, "film")
        if picture.deinterlace:
            listed = _deinterlaced(listed, stream)
        for frame in listed:
            beat()
            planes = _upright(colours.planes(frame), picture)
            yield torch.from_numpy(np.ascontiguousarray(planes))


def read_depth(source: Path, depth: DepthFrames) -> Generator[Tensor]:
    """The listed frames of a depth segment object, in order: inverse depth [1, 1, h, w]
    in [0, 1], float32, which is the luma of the decoded picture.

    Raises UNREADABLE_SEGMENT as `read_frames` does.
    """
    grey = GreyReader(is_full_range=depth.is_full_range)
    with _opened(source, "depth video") as (container, stream):
        decoded = _decoded(container, stream)
        for frame in _listed(decoded, depth.frames, "depth video"):
            beat()
            yield grey.luma(frame)


@contextmanager
def _opened(source: Path, of: str) -> Iterator[tuple[InputContainer, VideoStream]]:
    try:
        # Without other protocols a crafted file cannot make us fetch what it points to.
        options = {"protocol_whitelist": "file"}
        with av.open(str(source), container_options=options) as container:
            if not container.streams.video:
                raise _unreadable("has no video", of)
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            yield container, stream
    except FFmpegError as error:
        raise _unreadable(f"cannot be decoded: {error.strerror}", of) from error


def _decoded(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """Frames of the object; damaged packets give none, as in a player."""
    for packet in container.demux(stream):
        try:
            yield from stream.decode(packet)
        except InvalidDataError as error:
            log.warning("a damaged packet gives no frame: %s", error.strerror)


def _listed(
    decoded: Iterable[VideoFrame], frames: SegmentFrames, of: str
) -> Iterator[VideoFrame]:
    """The frames at the listed times; for a few damaged ones the one before stands in."""
    tick = frames.seconds_per_tick
    damaged = len(frames.pts) // DAMAGED_ONE_IN
    found = 0
    last: VideoFrame | None = None
    for frame in decoded:
        if frame.pts is None or frame.time_base is None:
            raise _unreadable("has frames without timestamps", of)
        # A container's clock, if coarser, rounds by half of its own tick.
        tolerance = max(tick, frame.time_base) / 2
        shown = frame.pts * frame.time_base
        while found < len(frames.pts) and shown - frames.pts[found] * tick > tolerance:
            if damaged == 0:
                raise _unreadable(f"lacks frame {found + 1} of {len(frames.pts)}", of)
            damaged -= 1
            yield last or frame
            found += 1
        if found == len(frames.pts):
            return
        if shown - frames.pts[found] * tick >= -tolerance:
            yield frame
            last = frame
            found += 1
    if last is None or len(frames.pts) - found > damaged:
        raise _unreadable(f"lacks frame {found + 1} of {len(frames.pts)}", of)
    yield from [last] * (len(frames.pts) - found)


def _deinterlaced(
    frames: Iterable[VideoFrame], stream: VideoStream
) -> Iterator[VideoFrame]:
    """One whole picture per frame; frames that are not interlaced stay as they are."""
    graph = Graph()
    entry = graph.add_buffer(template=stream)
    exit_ = graph.add("buffersink")
    graph.link_nodes(entry, graph.add("bwdif", "send_frame:auto:interlaced"), exit_)
    graph.configure()
    for frame in chain(frames, [None]):
        graph.vpush(frame)
        yield from iter(partial(_pulled, graph), None)


def _pulled(graph: Graph) -> VideoFrame | None:
    try:
        return graph.vpull()
    except (av.BlockingIOError, av.EOFError):  # it wants more, or has no more
        return None


def _upright(planes: Planes, picture: Picture) -> Planes:
    planes = np.rot90(planes, k=-picture.rotation // 90, axes=(1, 2))
    height, width = planes.shape[1:]
    even = planes
    if height % 2 or width % 2:
        even = np.pad(planes, ((0, 0), (0, height % 2), (0, width % 2)), mode="edge")
    if even.shape[1:] != (picture.eye_height, picture.eye_width):
        raise _unreadable(f"holds a picture of {width} × {height} pixels", "film")
    return even


def _unreadable(what: str, of: str) -> StereoSpotError:
    message = f"A segment of the {of} {what}."
    return StereoSpotError(ErrorCode.UNREADABLE_SEGMENT, message)
