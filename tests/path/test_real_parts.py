"""The environment names a database, a broker and buckets: the same code uses them.

The parts are this machine's own here, but reached as strangers' are: by URL, with
credentials from boto's chain, and with workers that somebody else has started.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from stereospot.embedded import Addresses, Services
from tests.path.films import facts, small_film
from tests.path.stack import ROOT, Machine


@pytest.fixture
def aws() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def environment(aws: str, tmp_path: Path) -> Iterator[dict[str, str]]:
    with Services(tmp_path / "database", sqs=False):
        yield {
            "DATABASE_URL": Addresses.of(tmp_path / "database").database_url,
            "CELERY_BROKER_URL": "sqs://",
            "SQS_LONG_POLL_WAIT_SECONDS": "1",
            "SOURCE_BUCKET": "sources",
            "RESULT_BUCKET": "results",
            "AWS_ENDPOINT_URL": aws,
            "AWS_ACCESS_KEY_ID": "somebody",
            "AWS_SECRET_ACCESS_KEY": "secret",
        }


def test_a_film_goes_through_a_real_database_broker_and_buckets(
    aws, environment, tmp_path
):
    s3 = boto3.client(
        "s3",
        endpoint_url=aws,
        region_name="us-east-1",
        aws_access_key_id="somebody",
        aws_secret_access_key="secret",
    )
    for bucket in ("sources", "results"):
        s3.create_bucket(Bucket=bucket)
    machine = Machine(tmp_path / "data", environment)
    film = small_film(tmp_path / "film.mp4")
    workers = [_worker(machine, queue) for queue in ("media", "gpu", "control")]

    try:
        done = machine.run("convert", str(film), str(tmp_path / "out.mp4"))
    finally:
        for worker in workers:
            worker.terminate()
        said = [worker.communicate(timeout=60)[0] for worker in workers]

    assert done.returncode == 0, done.stderr + "\n".join(said)
    assert facts(tmp_path / "out.mp4").times == facts(film).times
    results = s3.list_objects_v2(Bucket="results")["Contents"]
    assert any(entry["Key"].endswith("/final.mp4") for entry in results)
    assert not (tmp_path / "data" / "postgres").exists()
    assert not (tmp_path / "data" / "source").exists()


def _worker(machine: Machine, queue: str) -> subprocess.Popen[str]:
    command = ["-m", "celery", "-A", "stereospot", "worker", "-Q", queue, "-c", "1"]
    return subprocess.Popen(
        [sys.executable, *command, "-n", f"{queue}@here"],
        cwd=ROOT,
        env=machine.variables | {"PATH": os.environ["PATH"]},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
