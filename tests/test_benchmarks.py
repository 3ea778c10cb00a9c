from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.row import Row, in_turns, table

ROOT = Path(__file__).parent.parent


def run(command: str) -> str:
    return subprocess.run(
        [sys.executable, "-m", *f"benchmarks{command}".split()],
        cwd=ROOT,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "", "HF_HUB_OFFLINE": "1"},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        timeout=600,
    ).stdout


@pytest.mark.parametrize(
    ("command", "rows"),
    [
        (".splat --size 64x36 --repeats 1", ["| splat |", "| scatter_add |"]),
        (
            ".gpu --tiny --frames 2",
            ["ours: ", "as published: ", "| fill: denoise |", "| splat, torch |"],
        ),
    ],
)
def test_the_benchmarks_run_to_their_end(command, rows):
    told = run(command)

    assert [row for row in rows if row not in told] == []


# Not chaos: tests/chaos runs the same command, and looks at more of its figures.
ROWS = {
    "pipeline": 5,
    "media": 1,
    "whole": 1,
    "memory": 2,
    "page": 1,
    "splat": 1,
    "gpu": 2,
}
ABSENT = {"no GPU", "no Chromium"}


def test_every_row_runs_to_its_end(tmp_path):
    results = tmp_path / "results.json"

    told = run(f" {' '.join(ROWS)} --quick --results {results}")

    rows = json.loads(results.read_text())["rows"]
    assert len(rows) == sum(ROWS.values())
    for row in rows:
        assert f"| {row['name']} |" in told
        if row["why_not"]:
            assert row["why_not"] in ABSENT
            assert row["reached"] is None
        else:
            assert row["runs"] == 1
            assert row["ratio"] == pytest.approx(row["ours"] / row["rival"])


def test_the_simulation_completes_every_film():
    lines = run(".simulate --films 2 3 --segments 2 --workers 1").splitlines()

    assert [line.split(" | ")[:2] for line in lines[-2:]] == [
        ["| 2", "0"],
        ["| 3", "4"],
    ]


def test_the_requests_of_a_film_are_counted():
    told = run(".requests --few 1 --many 2")

    # A segment: written and fetched twice, before and after it is converted.
    assert {"| S3 PUT | 4 | 6 | 2.00 |", "| S3 HEAD | 4 | 6 | 2.00 |"} <= set(
        told.splitlines()
    )
    assert "| SQS SendMessageBatch |" in told


def test_a_row_is_judged_by_the_median_of_its_pairs():
    row = Row("way", "s", 1.2, "rival", ours=[1.0, 9.0, 2.0], rival=[1.0, 3.0, 1.0])

    assert row.ratio == 2.0
    assert row.reached is False
    assert "| 2 s | rival | 1 s | 2.00 | 1.00 – 3.00 | ≤ 1.2 | **no** | 3 |" in table(
        [row]
    )


def test_a_row_without_a_rival_is_judged_by_its_figure():
    assert Row("lost", "", 0, ours=[0]).reached is True
    assert Row("lost", "", 0, ours=[1]).reached is False


def test_ours_and_the_rival_take_turns_at_being_first():
    order = []

    in_turns(lambda: order.append("ours"), lambda: order.append("rival"), 2)

    assert order == ["ours", "rival", "rival", "ours"]
