from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize(
    ("command", "rows"),
    [
        ("splat --size 64x36 --repeats 1", ["| splat |", "| scatter_add |"]),
        (
            "gpu --tiny --frames 2",
            ["ours: ", "as published: ", "| fill: denoise |", "| splat, torch |"],
        ),
    ],
)
def test_the_benchmarks_run_to_their_end(command, rows):
    told = subprocess.run(
        [sys.executable, "-m", *f"benchmarks.{command}".split()],
        cwd=ROOT,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "", "HF_HUB_OFFLINE": "1"},
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    ).stdout

    assert [row for row in rows if row not in told] == []
