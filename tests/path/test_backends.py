"""Films whose segments are converted elsewhere: by a real inference server in a process
of its own, asked over HTTP, or through a stand-in of a SageMaker endpoint."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from inference.scene import render
from inference.weights import FOLDER
from stereospot.embedded import Services, say_ready
from tests.inference.diffusion.tiny import save_networks
from tests.inference.service.serving import Serving, serving
from tests.path.films import facts, one_shot, small_film
from tests.path.stack import ROOT, Machine
from tests.sagemaker import ENDPOINT, StandIn
from tests.sagemaker import serving as serving_endpoint

PATIENCE = 60.0


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two segments long."""
    return small_film(tmp_path_factory.mktemp("film") / "film.mp4", seconds=2.0)


def test_a_film_goes_through_a_server_on_another_machine(film, tmp_path):
    with serving(
        inference_file_root=tmp_path / "data", inference_token="hunter2"
    ) as server:
        convert_by_http(server, film, tmp_path / "out.mp4", "preview")

        assert len(server.said("converting")) == 2


def test_a_film_goes_through_the_networks_of_a_server(tmp_path):
    film = tmp_path / "film.mp4"
    render(film, seconds=0.25, fps=24, width=96, height=64)
    save_networks(tmp_path / "weights")
    with serving(
        inference_file_root=tmp_path / "data",
        inference_token="hunter2",
        inference_device="cpu",
        **{FOLDER: tmp_path / "weights"},
    ) as server:
        convert_by_http(server, film, tmp_path / "out.mp4", "stereocrafter")

        # No bars of libraries: each line is an event, and says more than that.
        assert [event for event in server.events if event.keys() == {"event"}] == []


def convert_by_http(server: Serving, film: Path, out: Path, engine: str) -> None:
    """By the command that people use, which starts a stack of its own."""
    machine = Machine(
        out.parent / "data",
        {
            "INFERENCE_BACKEND": "http",
            "INFERENCE_HTTP_URL": str(server.http.base_url),
            "INFERENCE_TOKEN": "hunter2",
        },
    )
    done = machine.run("convert", str(film), str(out), "--engine", engine)

    assert done.returncode == 0, f"{done.stderr}{server.events}{machine.logs()}"
    assert facts(out).times == facts(film).times


@dataclass
class Fleet:
    """Workers of one machine, in front of an endpoint; its store are moto's buckets."""

    machine: Machine
    endpoint: StandIn
    server: Serving
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, *options: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "celery", "-A", "stereospot", "worker"]
        name = f"worker{len(self.started)}"
        with (self.machine.data_dir / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                [*command, "-n", f"{name}@here", *options],
                cwd=ROOT,
                env=self.machine.variables,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.started.append(process)
        return process

    def start_waiter(self) -> subprocess.Popen[bytes]:
        return self.start("-Q", "gpu", "-P", "threads", "-c", "30")

    def end(self) -> None:
        for process in self.started:
            kill(process)

    def said(self) -> str:
        logs = self.machine.data_dir.glob("worker*.log")
        return "\n".join(path.read_text()[-4000:] for path in sorted(logs))

    def wait_until_said(self, words: str, *, times: int) -> None:
        deadline = time.monotonic() + PATIENCE
        while self.said().count(words) < times:
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.1)

    def send_all(self, *, lost: bool = False) -> None:
        """The messages of all segments, whose worker may be `lost`."""
        code = [
            "from apps.pipeline import messages",
            "from apps.jobs.models import Segment",
            "from django.utils.timezone import now",
            "Segment.objects.update(lease_expires_at=now())" if lost else "",
            "for s in Segment.objects.all():",
            "    messages.send_segment(s.job_id, s.index, attempt=s.attempt)",
        ]
        done = self.machine.run("shell", "-c", "\n".join(code))
        assert done.returncode == 0, done.stderr


@dataclass
class Place:
    """Where a fleet is started, and what its processes are told."""

    folder: Path
    workers: dict[str, str] = field(default_factory=dict)
    server: dict[str, object] = field(default_factory=dict)


@contextmanager
def fleet_at(place: Place) -> Iterator[Fleet]:
    """With a worker that cuts and joins, and none yet that converts."""
    with ExitStack() as stack:
        yield stack.enter_context(_fleet(place, stack.enter_context(moto())))


@contextmanager
def moto() -> Iterator[str]:
    """S3, at this address."""
    store = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    store.start()
    host, port = store.get_host_and_port()
    try:
        yield f"http://{host}:{port}"
    finally:
        store.stop()


@contextmanager
def _fleet(place: Place, address: str) -> Iterator[Fleet]:
    aws = {
        "AWS_ENDPOINT_URL_S3": address,
        "AWS_ACCESS_KEY_ID": "somebody",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "SOURCE_BUCKET": "sources",
        "RESULT_BUCKET": "results",
    }
    s3 = s3_client(aws)
    for bucket in ("sources", "results"):
        s3.create_bucket(Bucket=bucket)
    told = {name.lower(): value for name, value in aws.items()} | place.server
    with (
        serving(**told) as server,
        serving_endpoint(StandIn(str(server.http.base_url), s3, "results")) as endpoint,
        Services(place.folder / "data"),
    ):
        machine = Machine(
            place.folder / "data",
            aws
            | {
                "INFERENCE_BACKEND": "sagemaker",
                "INFERENCE_HTTP_URL": str(server.http.base_url),
                "SAGEMAKER_ENDPOINT_NAME": ENDPOINT,
                "AWS_ENDPOINT_URL_SAGEMAKER": endpoint.url,
                "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": endpoint.url,
                # A killed worker's poll stays open in moto for so long.
                "SQS_LONG_POLL_WAIT_SECONDS": "1",
            }
            | place.workers,
        )
        assert machine.run("migrate").returncode == 0
        say_ready(machine.data_dir)
        fleet = Fleet(machine, endpoint, server)
        fleet.start("-Q", "media,control", "-c", "1")
        try:
            yield fleet
        finally:
            fleet.end()


def s3_client(aws: dict[str, str]) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=aws["AWS_ENDPOINT_URL_S3"],
        region_name="us-east-1",
        aws_access_key_id=aws["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=aws["AWS_SECRET_ACCESS_KEY"],
    )


def kill(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def finish(converting: subprocess.Popen[str], fleet: Fleet) -> None:
    try:
        said = converting.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        converting.kill()
        converting.communicate()
        raise AssertionError(fleet.said()) from None
    assert converting.returncode == 0, f"{said}\n{fleet.said()}"


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    with fleet_at(Place(tmp_path)) as fleet:
        yield fleet


def test_a_film_goes_through_an_endpoint_once_whatever_fails_is_doubled_or_killed(
    fleet, film, tmp_path
):
    endpoint, machine = fleet.endpoint, fleet.machine
    endpoint.orders += ["fail The container said nothing.", "late", "late"]
    out = tmp_path / "out.mp4"
    waiter = fleet.start_waiter()
    converting = machine.start("convert", str(film), str(out))
    machine.wait_for(
        "SELECT count(*) FILTER (WHERE outcome = 'failed') = 1 AND "
        "count(*) FILTER (WHERE answered_at IS NULL AND success_uri <> '') = 2 "
        "FROM jobs_invocation"
    )

    # Every message comes a second time, to the worker that has them in hand.
    fleet.send_all()
    time.sleep(2)
    # Then that worker is lost, and the next one need not wait for the leases.
    kill(waiter)
    time.sleep(2)  # the emulator still gives messages to its last poll, of a second
    fleet.send_all(lost=True)
    fleet.start_waiter()
    fleet.wait_until_said("waiting again", times=2)
    endpoint.late.set()

    finish(converting, fleet)
    assert facts(out).times == facts(film).times
    assert len(endpoint.invocations) == 3
    assert len(fleet.server.said("converting")) == 2
    outcomes = machine.query("SELECT outcome FROM jobs_invocation ORDER BY 1")
    assert outcomes == [("failed",), ("ok",), ("ok",)]


@pytest.mark.parametrize("realtime", ["false", "true"])
def test_a_film_goes_through_the_networks_of_an_endpoint(tmp_path, realtime):
    film, out = tmp_path / "film.mp4", tmp_path / "out.mp4"
    render(film, seconds=0.25, fps=24, width=96, height=64)
    save_networks(tmp_path / "weights")
    networks = {"inference_device": "cpu", FOLDER.lower(): tmp_path / "weights"}
    workers = {"SAGEMAKER_REALTIME": realtime}
    with fleet_at(Place(tmp_path, workers, networks)) as fleet:
        fleet.start_waiter()
        engine = ("--engine", "stereocrafter")
        converting = fleet.machine.start("convert", str(film), str(out), *engine)
        finish(converting, fleet)

        assert facts(out).times == facts(film).times
        assert len(fleet.endpoint.invocations) == 1
        [engine_ready] = fleet.server.said("engine ready")
        assert engine_ready["engine"] == "stereocrafter"


def test_a_film_goes_through_a_real_time_endpoint_that_cuts_calls_off(film, tmp_path):
    out = tmp_path / "out.mp4"
    with fleet_at(Place(tmp_path, workers={"SAGEMAKER_REALTIME": "true"})) as fleet:
        fleet.endpoint.orders.append("late")  # "Your invocation timed out"
        fleet.start_waiter()
        finish(fleet.machine.start("convert", str(film), str(out)), fleet)

        assert facts(out).times == facts(film).times
        assert len(fleet.endpoint.invocations) == 3
        assert len(fleet.server.said("converting")) == 2
        outcomes = fleet.machine.query("SELECT outcome FROM jobs_invocation")
        assert outcomes == [("ok",), ("ok",)]


def test_what_a_killed_worker_had_asked_for_is_converted_once(film, tmp_path):
    """Nobody tells the next worker but the leases, the sweep and the queue."""
    out = tmp_path / "out.mp4"
    over_http = {
        "INFERENCE_BACKEND": "http",
        "DJANGO_SETTINGS_MODULE": "tests.path.hurried",
    }
    # Of its own accord the server gives up at once what nobody waits for.
    impatient = {"inference_linger_seconds": 0}
    place = Place(tmp_path, workers=over_http, server=impatient)
    with fleet_at(place) as fleet, beat(fleet):
        waiter = fleet.start_waiter()
        converting = fleet.machine.start("convert", str(film), str(out))
        fleet.server.wait_for("converting")
        kill(waiter)
        fleet.server.wait_for("a caller is gone")
        fleet.start_waiter()

        finish(converting, fleet)
        assert facts(out).times == facts(film).times
        assert len(fleet.server.said("converting")) == 2
        assert not fleet.server.said("conversion cancelled")
        lost = "SELECT count(*) FROM jobs_event WHERE detail LIKE 'lease-expired%'"
        assert fleet.machine.query(lost)[0][0]


def test_cancel_ends_what_the_server_has_in_hand(tmp_path):
    film = one_shot(tmp_path / "film.mp4", seconds=90)
    over_http = {
        "INFERENCE_BACKEND": "http",
        "DJANGO_SETTINGS_MODULE": "tests.path.hurried",
        "SEGMENT_SECONDS": "90",
    }
    cancelling = [
        "from apps.jobs import ledger",
        "from apps.jobs.models import Job",
        "assert ledger.cancel(Job.objects.get().pk)",
    ]
    with fleet_at(Place(tmp_path, workers=over_http)) as fleet:
        fleet.start_waiter()
        out = str(tmp_path / "out.mp4")
        converting = fleet.machine.start("convert", str(film), out)
        try:
            fleet.server.wait_for("converting")
            done = fleet.machine.run("shell", "-c", "\n".join(cancelling))
            assert done.returncode == 0, done.stderr

            fleet.server.wait_for("conversion cancelled")
        finally:
            converting.kill()
            converting.communicate()


@contextmanager
def beat(fleet: Fleet) -> Iterator[None]:
    """The sweep comes by itself."""
    command = [sys.executable, "-m", "celery", "-A", "stereospot", "beat"]
    with (fleet.machine.data_dir / "worker-beat.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "-s", str(fleet.machine.data_dir / "beat")],
            cwd=ROOT,
            env=fleet.machine.variables,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        yield
    finally:
        process.kill()
        process.wait()
