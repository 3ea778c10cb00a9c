"""The log of a whole stack: JSON, and of one film by one filter, from upload to final."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stereospot.embedded import free_port
from tests.path.films import small_film
from tests.path.stack import Machine


@pytest.fixture
def machine() -> Iterator[Machine]:
    folder = Path(tempfile.mkdtemp(prefix="stereospot-path-"))
    # To root Celery says in plain words, before anything, that it should not be.
    yield Machine(folder / "data", {"PYTHONWARNINGS": "ignore"})
    shutil.rmtree(folder)


@pytest.fixture
def lines(machine, tmp_path) -> list[dict[str, Any]]:
    """What all processes logged while a film went through."""
    film: Path = small_film(tmp_path / "film.mp4")
    with machine.up(f"127.0.0.1:{free_port()}"):
        machine.wait_for("SELECT count(*) > 0 FROM auth_user")
        result = machine.run("convert", str(film), str(tmp_path / "out"))
        assert result.returncode == 0, result.stderr
        machine.wait_for("SELECT count(*) > 0 FROM jobs_job WHERE status = 'completed'")
        ((job_id,),) = machine.query("SELECT id::text FROM jobs_job")
    found = []
    for log in sorted((machine.data_dir / "logs").glob("*.log")):
        for text in log.read_text().splitlines():
            if text and not text.startswith("worker: "):  # Celery's, when it stops
                found.append(json.loads(text) | {"log": log.stem})
    return [{"ours": line.get("job_id") == job_id} | line for line in found]


def test_one_filter_follows_a_film_from_upload_to_final(lines):
    ours = sorted(
        (line for line in lines if line["ours"]), key=lambda x: x["timestamp"]
    )

    started = [x["stage"] for x in ours if x["event"] == "attempt started"]
    finished = [x["stage"] for x in ours if x["event"] == "attempt finished"]
    assert (started[0], started[-1]) == ("chunk", "concat")
    assert set(started[1:-1]) == {"infer"}
    assert sorted(finished) == sorted(started)
    for line in ours:
        if line["event"].startswith("attempt"):
            # (A job counts the claims of its own stages: concat is its second.)
            assert line["attempt"] == (2 if line["stage"] == "concat" else 1)
            assert line["task"] == line["stage"]
            assert len(line["task_id"]) == 36
            assert (line["stage"] == "infer") == ("segment_index" in line)
    # A segment's two lines are of one task.
    tasks = {(x["segment_index"], x["task_id"]) for x in ours if "segment_index" in x}
    assert len(tasks) == len(started) - 2
    assert {x["log"] for x in ours} >= {"gpu", "media"}
    assert [x["event"] for x in lines if x["level"] == "error"] == []
