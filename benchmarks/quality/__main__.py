"""Measure every engine that can run here, print the table and write it into the docs.

python -m benchmarks.quality [--clips DIR] [--engines NAME …] [--size 480x270]
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import torch

from benchmarks.page import inserted
from benchmarks.quality.films import Film, TrueDepth, clip, rendered
from benchmarks.quality.measuring import Figures, Flat, measured
from contract.errors import ErrorCode, StereoSpotError
from contract.modes import Engine, StereoSettings
from inference.engines import pipeline_for
from inference.pipeline import Pipeline
from inference.scenes import SCENES

PAGE = Path(__file__).parents[2] / "docs" / "quality.md"
BEGIN, END = "<!-- make quality: begin -->", "<!-- make quality: end -->"
HEAD = (
    "| film | engine | PSNR dB | in occlusions | SSIM | in occlusions | holes % "
    "| flicker | seam px | seam, filled | vertical px "
    "|\n|---|---|---|---|---|---|---|---|---|---|---|"
)
ABSENT = {
    ErrorCode.WEIGHTS_FORBIDDEN,
    ErrorCode.WEIGHTS_UNREACHABLE,
    ErrorCode.WEIGHTS_CORRUPT,
}


def main(arguments: list[str]) -> int:
    options = _options(arguments)
    torch.set_num_threads(1)
    size = tuple(int(side) for side in options.size.split("x"))
    settings = StereoSettings()
    engines, absent = _engines(options.engines)
    lines = [HEAD]
    with torch.inference_mode():
        for film in _films(options, (size[0], size[1]), settings):
            for name, pipeline in _pipelines(film, engines):
                lines.append(_line(film, name, measured(film, pipeline, settings)))
                print(lines[-1], flush=True)
    table = "\n".join([_where(options.size, options.frames), "", *lines, *absent])
    print(table)
    if options.write:
        options.write.write_text(
            inserted(options.write.read_text(), table, begin=BEGIN, end=END)
        )
    return 0


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality")
    parser.add_argument("--clips", type=Path, help="a folder of films without truth")
    parser.add_argument(
        "--engines", nargs="+", type=Engine, default=list(Engine), help="all, if none"
    )
    parser.add_argument("--size", default="480x270", help="of the rendered films")
    parser.add_argument("--frames", type=int, default=32, help="of every film")
    parser.add_argument("--write", type=Path, default=PAGE, help="the page to renew")
    return parser.parse_args(arguments)


def _engines(wanted: list[Engine]) -> tuple[dict[Engine, Pipeline], list[str]]:
    """Those that run here, and a line for each that does not."""
    engines, absent = {}, []
    for engine in wanted:
        try:
            engines[engine] = pipeline_for(engine)
        except StereoSpotError as error:
            if error.code not in ABSENT:
                raise
            absent.append(f"\n`{engine}`: not measured, its weights are not here.")
    return engines, absent


def _films(
    options: argparse.Namespace, size: tuple[int, int], settings: StereoSettings
) -> Iterator[Film]:
    for name in SCENES:
        yield rendered(name, size, options.frames, settings)
    for path in sorted(options.clips.glob("*.mp4")) if options.clips else ():
        yield clip(path, options.frames)


def _pipelines(
    film: Film, engines: dict[Engine, Pipeline]
) -> Iterator[tuple[str, Pipeline]]:
    """The engines; beside the truth also each of their fillers behind the true depth."""
    if film.truth is not None:
        fillers: dict[int, tuple[Engine, Pipeline]] = {}
        for engine, pipeline in engines.items():
            fillers.setdefault(id(pipeline.fill), (engine, pipeline))
        for engine, pipeline in fillers.values():
            depth = TrueDepth(film.truth.inverse_depth)
            yield f"true depth, fill of `{engine}`", replace(pipeline, depth=depth)
        yield "no depth", replace(next(iter(engines.values())), depth=Flat())
    for engine, pipeline in engines.items():
        yield f"`{engine}`", pipeline


def _line(film: Film, name: str, found: Figures) -> str:
    cells = (
        _cell(found.psnr, 1),
        _cell(found.psnr_in_occlusions, 1),
        _cell(found.ssim, 3),
        _cell(found.ssim_in_occlusions, 3),
        _cell(100 * found.holes, 2),
        _cell(found.flicker, 2),
        _cell(found.seam, 3),
        _cell(found.fill_seam, 2),
        _cell(found.vertical, 1),
    )
    return f"| {film.name} | {name} | {' | '.join(cells)} |"


def _cell(figure: float | None, digits: int) -> str:
    return "–" if figure is None else f"{figure:.{digits}f}"


def _where(size: str, frames: int) -> str:
    cores = os.cpu_count()
    today = datetime.now(UTC).date().isoformat()
    return (
        f"Measured on {today}, {platform.machine()} with {cores} cores, one of them used, "
        f"torch {torch.__version__}; rendered films of {size}, {frames} frames of each."
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
