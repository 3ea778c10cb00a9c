"""A short run, the same each time as far as the machine's own timing lets it be."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def folder() -> Iterator[Path]:
    """Not pytest's own, which only we may enter, and not PostgreSQL where we are root."""
    folder = Path(tempfile.mkdtemp(prefix="stereospot-chaos-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def test_no_film_is_lost_doubled_or_stuck_whatever_dies(folder):
    command = ["-m", "tests.chaos", "--seed", "7", "--films", "3", "--segments", "4"]

    done = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=240,
    )

    assert done.returncode == 0, done.stderr[-20_000:]
    figures = json.loads(done.stdout.splitlines()[-1])
    found = {name: figures[name] for name in ("lost", "doubled", "stuck", "orphans")}
    assert found == {"lost": 0, "doubled": 0, "stuck": 0, "orphans": 0}
    assert figures["films"] == 7
    assert figures["kills"] >= 3, "or nothing was tried"
    assert figures["restarts"] == 1
    assert figures["messages_doubled"] + figures["messages_dropped"] > 0
    assert 3 * 4 <= figures["inference_calls"] <= figures["calls_allowed"]
    assert list(folder.iterdir()) == []
