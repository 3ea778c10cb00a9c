"""Measure what docs/performance.md promises: `python -m benchmarks [NAME …]`.

Progress goes to stderr, the table to stdout, and all figures to benchmarks/results.json.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.page import inserted
from benchmarks.parts import Bench, parts
from benchmarks.row import Row, table

NAMES = (
    "pipeline",
    "media",
    "whole",
    "memory",
    "page",
    "splat",
    "gpu",
    "chaos",
)
RESULTS = Path(__file__).parent / "results.json"
PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
BEGIN, END = "<!-- make bench: begin -->", "<!-- make bench: end -->"


def main(arguments: list[str]) -> int:
    options = _options(arguments)
    where = _where(quick=options.quick)
    rows: list[Row] = []
    try:
        with parts(quick=options.quick) as bench:
            for name in options.names or NAMES:
                for row in _measured(bench, name):
                    bench.say(row.as_line())
                    rows.append(row)
    finally:  # whatever stops it, what was measured so far is not lost
        text = f"{where}\n\n{table(rows)}"
        print(text)
        facts = {"where": where, "rows": [row.as_json() for row in rows]}
        options.results.write_text(json.dumps(facts, indent=1) + "\n")
    if options.write:
        PAGE.write_text(inserted(PAGE.read_text(), text, begin=BEGIN, end=END))
    return 0


def _measured(bench: Bench, name: str) -> Iterator[Row]:
    """Loaded only now: most of it wants Django set up."""
    bench.say(f"{name} …")
    yield from importlib.import_module(f"benchmarks.rows.{name}").measure(bench)
    for left in bench.folder.iterdir():
        shutil.rmtree(left) if left.is_dir() else left.unlink()


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    parser.add_argument(
        "--quick", action="store_true", help="only see that everything runs"
    )
    parser.add_argument("--results", type=Path, default=RESULTS, help="the JSON file")
    parser.add_argument(
        "--write", action="store_true", help="renew the table of docs/performance.md"
    )
    options = parser.parse_args(arguments)
    if unknown := set(options.names) - set(NAMES):
        parser.error(f"unknown: {', '.join(unknown)}; known: {', '.join(NAMES)}")
    return options


def _where(*, quick: bool) -> str:
    today = datetime.now(UTC).date().isoformat()
    load = os.getloadavg()[0]
    return (
        f"{'Not measured, only run' if quick else 'Measured'} on {today}: "
        f"{_processor()}, {os.cpu_count()} cores, Python {platform.python_version()}; "
        f"load before it began: {load:.1f}."
    )


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2] for line in lines if line.startswith("model name")]
    return names[0].strip() if names else platform.machine()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
