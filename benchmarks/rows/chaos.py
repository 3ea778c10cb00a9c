"""Jobs that a run of the chaos test loses, doubles or leaves stuck."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.parts import Bench
from benchmarks.row import Row

ROOT = Path(__file__).parents[2]
WRONG = ("lost", "doubled", "stuck")


def measure(bench: Bench) -> Iterator[Row]:
    films, segments = (1, 2) if bench.quick else (6, 4)
    size = ("--films", str(films), "--segments", str(segments))
    run = subprocess.run(
        [sys.executable, "-m", "tests.chaos", "--seed", "1", *size],
        cwd=ROOT,
        # A stack of its own.
        env={k: v for k, v in os.environ.items() if k != "STEREOSPOT_DATA_DIR"},
        stdout=subprocess.PIPE,
        text=True,
    )
    figures = json.loads(run.stdout.splitlines()[-1])
    bench.say(f"chaos: {figures}")
    wrong = sum(figures[what] for what in WRONG)
    yield Row(
        f"jobs lost, doubled or stuck of {figures['films']}, {figures['kills']} kills",
        unit="",
        goal=0,
        ours=(wrong,),
    )
