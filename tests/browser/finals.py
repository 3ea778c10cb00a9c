"""Finals whose every part says where it belongs, put into the site as if converted.

Each eye has a colour of its own, a white quarter at its top left, and at its bottom right
a grey that tells the frame's number.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from apps.pipeline.media.tools import find_ffmpeg
from contract.modes import StereoMode
from inference.stages.compose import compose
from tests.browser.site import Site

WIDTH, HEIGHT, FPS, FRAMES = 160, 96, 10, 40
RED, BLUE, GREEN = (200, 30, 30), (30, 30, 200), (30, 160, 30)
"""Of the left eye, of the right eye, of the source."""
WHITE = (235, 235, 235)

Frame = NDArray[np.uint8]


def grey(number: int) -> int:
    """Of frame `number`."""
    return 20 + 5 * number


def eye(colour: tuple[int, int, int], number: int) -> Frame:
    frame = np.full((HEIGHT, WIDTH, 3), colour, np.uint8)
    frame[: HEIGHT // 2, : WIDTH // 2] = WHITE
    frame[HEIGHT // 2 :, WIDTH // 2 :] = grey(number)
    return frame


def packed(mode: StereoMode, number: int) -> Frame:
    """Both eyes as our own compose stage packs them."""
    left, right = (
        torch.from_numpy(eye(colour, number)).permute(2, 0, 1)[None] / 255
        for colour in (RED, BLUE)
    )
    both = compose(left, right, mode)[0].permute(1, 2, 0)
    return (both * 255).round().to(torch.uint8).numpy()


def write(path: Path, frames: Iterable[Frame], *options: str) -> Path:
    frames = list(frames)
    height, width, _ = frames[0].shape
    raw = ("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}")
    # Said in full: of what is not said, a browser guesses all.
    colours = (
        "scale=out_color_matrix=bt709:out_range=tv,format=yuv420p,setparams="
        "range=tv:colorspace=bt709:color_primaries=bt709:color_trc=bt709"
    )
    command = [find_ffmpeg(), "-loglevel", "error", "-y", *raw, "-r", str(FPS)]
    command += ["-i", "-", "-vf", colours, "-c:v", "libx264", "-crf", "4"]
    command += ["-g", "5", "-movflags", "+faststart", *options, str(path)]
    joined = b"".join(frame.tobytes() for frame in frames)
    subprocess.run(command, input=joined, check=True)
    return path


def completed(
    site: Site,
    folder: Path,
    mode: StereoMode = StereoMode.SBS,
    *,
    sample_aspect_ratio: tuple[int, int] = (1, 1),
    source: Path | None = None,
    color_trc: int = 1,
) -> str:
    """A completed job of Alice's; the path of its page."""
    final = write(folder / f"{mode}.mp4", (packed(mode, n) for n in range(FRAMES)))
    if source is None:
        source = write(folder / "source.mp4", (eye(GREEN, n) for n in range(FRAMES)))
    picture = {
        "eye_width": WIDTH,
        "eye_height": HEIGHT,
        "sample_aspect_ratio": list(sample_aspect_ratio),
        "color_trc": color_trc,
    }
    return site.run(f"""
from pathlib import Path
from django.contrib.auth.models import User
from django.utils.timezone import now
from apps.jobs import storage
from apps.jobs.models import Job
job = Job.objects.create(
    owner=User.objects.get(username="alice"), title="Rain", mode={mode.value!r},
    status="completed", total_segments=1, started_at=now(), finished_at=now(),
    source_extension={source.suffix[1:]!r},
    film={{"codec": "h264", "duration": {FRAMES / FPS}}}, picture={picture!r},
)
storage.result().put(job.final_key, Path({str(final)!r}))
storage.source().put(job.source_key, Path({str(source)!r}))
print(job.get_absolute_url())
""")
