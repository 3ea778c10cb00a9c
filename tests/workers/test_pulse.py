"""A worker that hears its queue is healthy; one that lives, and is deaf, is not."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from tests.workers.harness import ROOT, until
from workers import pulse


def health(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "workers.pulse", str(folder)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def has_pulse(folder: Path) -> bool:
    return any(folder.glob("*.pulse"))


def silence(folder: Path) -> float:
    (file,) = folder.glob("*.pulse")
    return float(json.loads(file.read_text())["silent"])


@pytest.mark.parametrize("pool", ["prefork", "threads", "solo"])
def test_a_worker_that_hears_is_healthy_and_one_that_is_gone_is_not(
    make_farm, tmp_path, pool
):
    farm = make_farm()
    worker = farm.start(pool, worker_pulse_dir=str(tmp_path)).wait_ready()
    until(lambda: has_pulse(tmp_path))

    assert health(tmp_path).returncode == 0

    worker.terminate()
    until(lambda: not worker.is_alive())
    gone = health(tmp_path)
    assert (gone.returncode, gone.stderr) == (1, "No worker consumes here\n")


@pytest.mark.parametrize("pool", ["prefork", "solo"])
def test_a_worker_with_its_hands_full_is_not_deaf(make_farm, tmp_path, pool):
    farm = make_farm(visibility_timeout=30)
    farm.start(pool, worker_pulse_dir=str(tmp_path)).wait_ready()
    name = uuid.uuid4().hex
    farm.send("nap", name, 14.0)
    until(farm.saw("begin", name))
    time.sleep(11)

    assert farm.times("end", name) == []
    assert silence(tmp_path) < 6


def test_a_worker_whose_sqs_is_away_is_not_deaf(make_farm, sqs, tmp_path):
    farm = make_farm()
    farm.start("prefork", worker_pulse_dir=str(tmp_path)).wait_ready()
    until(lambda: has_pulse(tmp_path))
    with sqs.outage():
        time.sleep(12)
        # Pauses between failed polls grow to half a minute.
        assert silence(tmp_path) < 31


def test_a_worker_that_polls_no_more_is_deaf(make_farm, tmp_path):
    farm = make_farm()
    farm.start("prefork", worker_pulse_dir=str(tmp_path), go_deaf=True).wait_ready()
    until(lambda: has_pulse(tmp_path) and silence(tmp_path) > 6)

    (file,) = tmp_path.glob("*.pulse")
    said = json.loads(file.read_text())
    file.write_text(json.dumps(said | {"silent": pulse.DEAF + 1}))

    found = health(tmp_path)
    assert found.returncode == 1
    assert "has not polled for 61 s" in found.stderr


def test_a_worker_that_gives_no_sign_of_life_is_not_healthy(tmp_path):
    said = {"at": time.time() - 100, "host": socket.gethostname(), "silent": 0}
    (tmp_path / "gpu@box.pulse").write_text(json.dumps(said))

    assert pulse.deaf(tmp_path) == ["gpu@box gave no sign of life for 100 s"]


def test_what_another_machine_left_is_not_ours(tmp_path):
    said = {"at": 0, "host": "another", "silent": 0}
    (tmp_path / "gpu@box.pulse").write_text(json.dumps(said))

    assert pulse.deaf(tmp_path) == []
