"""A small moving scene whose true right eye is known: for the demo, and to measure by.

A camera glides past a fence, trees and hills. Every layer has its inverse depth, so
either eye can be drawn as it would really look, with what the left eye cannot see.

    python -m inference.scene FILE.mp4
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch
from av import AudioFrame, Packet, VideoFrame
from av.audio.stream import AudioStream
from av.video.stream import VideoStream
from numpy.typing import NDArray
from torch import Tensor

from contract.modes import StereoSettings
from inference.pipeline import disparity_px
from inference.scenery import Layer, moving_layers, still_layers

SPEED = 0.15
"""Picture widths per second by which a thing at inverse depth 1 passes the camera."""

RATE = 48_000
"""Samples of sound per second."""

BLOCK = 1024
"""Samples in an AAC frame."""


def views(
    t: float, width: int, height: int, settings: StereoSettings
) -> tuple[Tensor, Tensor, Tensor]:
    """Left and right eye [3, H, W] in [0, 1] and the left's inverse depth [1, H, W].

    `t` is in seconds. The right eye is what `inference.pipeline.disparity_px` of that
    inverse depth stands for: positive disparity lies further left.
    """
    left, inverse_depth = _seen(t, width, height, StereoSettings(max_disparity=0.0))
    right, _ = _seen(t, width, height, settings)
    return left, right, inverse_depth


def render(
    path: Path,
    *,
    seconds: float = 8.0,
    fps: int = 24,
    width: int = 640,
    height: int = 360,
) -> None:
    """Write the scene's left eye with a quiet tune as an mp4: an ordinary 2D film."""
    options = {"movflags": "+faststart"}
    with av.open(str(path), "w", format="mp4", options=options) as container:
        video = container.add_stream(
            "libx264", rate=fps, options={"preset": "veryfast", "crf": "16"}
        )
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        # BT.601, which is what swscale makes of RGB unless it is told otherwise.
        context = video.codec_context
        context.color_range, context.colorspace = 1, 6
        context.color_primaries, context.color_trc = 6, 6
        audio = container.add_stream("aac", rate=RATE, layout="stereo")
        for picture in _pictures(video, round(seconds * fps), fps):
            container.mux(picture)
        for sound in _tune(audio, seconds):
            container.mux(sound)


def _pictures(
    video: VideoStream, count: int, fps: int
) -> Iterator[Packet[VideoStream]]:
    flat = StereoSettings(max_disparity=0.0)
    for number in range(count):
        picture, _ = _seen(number / fps, video.width, video.height, flat)
        pixels = picture.mul(255).round_().to(torch.uint8).permute(1, 2, 0)
        frame = VideoFrame.from_ndarray(pixels.contiguous().numpy(), format="rgb24")
        frame.pts, frame.time_base = number, Fraction(1, fps)
        yield from video.encode(frame)
    yield from video.encode(None)


def _tune(audio: AudioStream, seconds: float) -> Iterator[Packet[AudioStream]]:
    sound = _sound(seconds)
    for start in range(0, sound.shape[1], BLOCK):
        block = np.ascontiguousarray(sound[:, start : start + BLOCK])
        frame = AudioFrame.from_ndarray(block, format="fltp", layout="stereo")
        frame.pts, frame.sample_rate, frame.time_base = start, RATE, Fraction(1, RATE)
        yield from audio.encode(frame)
    yield from audio.encode(None)


def _sound(seconds: float) -> NDArray[np.float32]:
    """[2, N] in [-1, 1]: plucked notes of a pentatonic scale, four to a second."""
    t = np.arange(round(seconds * RATE)) / RATE
    sound = np.zeros((2, len(t)))
    for number in range(int(seconds * 4)):
        since = t - number / 4
        pitch = 220.0 * 2 ** ((0, 7, 12, 16, 19, 16, 14, 7)[number % 8] / 12)
        ring = np.where(since >= 0, np.exp(-3.5 * np.maximum(since, 0.0)), 0.0)
        attack = np.clip(since * 200, 0.0, 1.0)
        tone = np.sin(2 * np.pi * pitch * since) + 0.3 * np.sin(
            4 * np.pi * pitch * since
        )
        side = 0.5 + 0.3 * np.sin(number)
        sound += np.array([[side], [1.0 - side]]) * (0.22 * attack * ring * tone)
    fade = np.clip(np.minimum(t, seconds - t) * 2, 0.0, 1.0)
    faded: NDArray[np.float32] = (sound * fade).astype(np.float32)
    return faded


def _seen(
    t: float, width: int, height: int, settings: StereoSettings
) -> tuple[Tensor, Tensor]:
    """The scene from an eye that stands as far to the right as `settings` make it."""
    picture = torch.zeros(3, height, width)
    inverse_depth = torch.zeros(1, height, width)
    passed = SPEED * width * t
    still = [(layer, passed) for layer in still_layers(width, height)]
    balloon, ball = ((layer, 0.0) for layer in moving_layers(t, width, height))
    for layer, travel in (*still[:3], balloon, *still[3:-1], ball, still[-1]):
        disparity = disparity_px(layer.nearness, settings, width)
        paint = _strip(layer, travel, disparity, width)
        picture = torch.lerp(picture, paint[:3], paint[3:])
        near = layer.nearness[None, :, None].expand_as(inverse_depth)
        inverse_depth = torch.where(paint[3:] > 0.5, near, inverse_depth)
    return picture, inverse_depth


def _strip(layer: Layer, travel: float, disparity: Tensor, width: int) -> Tensor:
    """[4, H, W]: what shows of a layer, its rows moved left by `disparity` [H] pixels."""
    nearness = layer.nearness[:, None]
    column = torch.arange(width) + disparity[:, None]
    if layer.lies:  # as seen by a camera whose vanishing point is the picture's middle
        column = (column - width / 2) / nearness * 0.6 + travel * 0.6
    else:
        column = column + nearness * travel
    floor = column.floor()
    index = floor.long() % layer.paint.shape[-1]
    beyond = (index + 1) % layer.paint.shape[-1]
    here = layer.paint.gather(-1, index.expand(4, -1, -1))
    there = layer.paint.gather(-1, beyond.expand(4, -1, -1))
    return torch.lerp(here, there, column - floor)


if __name__ == "__main__":
    render(Path(sys.argv[1]))
