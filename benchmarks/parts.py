"""A StereoSpot of its own for the benchmarks: database, queue and disk, and workers."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.sqs import CountedSqs
from stereospot.embedded import Addresses, Services
from stereospot.supervisor import Supervisor

LOOK = 0.05
"""Seconds between two looks whether something has come to pass."""
OPTIONS = ("--without-gossip", "--without-mingle", "--without-heartbeat")
SLOTS = 2
"""Processes of each worker here, and of its rival."""


@dataclass(frozen=True, slots=True)
class Bench:
    """What every row is given."""

    folder: Path
    """For its files; empty when it begins."""
    sqs: CountedSqs
    quick: bool
    """Small sizes, of which the figures mean nothing: only that the row can be run."""

    def say(self, what: str) -> None:
        print(f"{time.strftime('%H:%M:%S')} {what}", file=sys.stderr, flush=True)

    def until(self, holds: Callable[[], bool], seconds: float = 600.0) -> None:
        """Wait for it. Raises `TimeoutError`."""
        deadline = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > deadline:
                raise TimeoutError(f"not within {seconds:.0f} s: see {self.folder}")
            time.sleep(LOOK)


@contextlib.contextmanager
def parts(*, quick: bool, buckets: tuple[str, ...] = ()) -> Iterator[Bench]:
    """PostgreSQL and SQS run inside, with Django set up for them; nothing is left.

    With names of two `buckets`, for sources and results, an S3 is in the place of the disk.
    """
    # Ends like Ctrl-C, so that no process is left.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    data_dir = Path(tempfile.mkdtemp(prefix="stereospot-bench-"))
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, data_dir, ignore_errors=True)
        for name in list(os.environ):
            # What names a real database, queue or bucket is not for this.
            if name.startswith(("DATABASE_", "CELERY_", "DJANGO_", "SQS_", "AWS_")):
                del os.environ[name]
        os.environ["STEREOSPOT_DATA_DIR"] = str(data_dir)
        os.environ["DJANGO_SETTINGS_MODULE"] = "stereospot.settings"
        os.environ["LOG_LEVEL"] = "WARNING"
        stack.enter_context(Services(data_dir, sqs=False))
        port = Addresses.of(data_dir).sqs_port
        sqs = stack.enter_context(CountedSqs(port))
        if buckets:
            _make_buckets(f"http://127.0.0.1:{port}", *buckets)
        _set_up_django(stack)
        folder = data_dir / "bench"
        folder.mkdir()
        yield Bench(folder, sqs, quick)


def _make_buckets(url: str, source: str, result: str) -> None:
    """On the same moto, which is an S3 as well."""
    import boto3

    os.environ |= {
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "bench",
        "AWS_ENDPOINT_URL_S3": url,
        "SOURCE_BUCKET": source,
        "RESULT_BUCKET": result,
    }
    for name in (source, result):
        boto3.client("s3", "us-east-1").create_bucket(Bucket=name)


def _set_up_django(stack: contextlib.ExitStack) -> None:
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connections

    from apps.pipeline import messages

    stack.callback(connections.close_all)
    call_command("migrate", verbosity=0)
    messages.declare_queues()


@dataclass(frozen=True, slots=True)
class Worker:
    """A prefork worker of a Celery app for one queue."""

    app: str
    queue: str
    variables: dict[str, str] = field(default_factory=dict)
    """Of its environment."""

    def command(self, slots: int) -> tuple[str, ...]:
        celery = ("-m", "celery", "--quiet", "-A", self.app, "worker", *OPTIONS)
        name = f"{self.queue}@{self.app}"
        return (*celery, "-n", name, "-Q", self.queue, "-c", str(slots))


@contextlib.contextmanager
def working(bench: Bench, *workers: Worker) -> Iterator[None]:
    """They live as long as the context."""
    slots = 1 if bench.quick else SLOTS
    hurry = {"SQS_LONG_POLL_WAIT_SECONDS": "1"} if bench.quick else {}
    logs = Path(tempfile.mkdtemp(prefix="logs-", dir=bench.folder))
    with Supervisor(logs) as supervisor:
        for worker in workers:
            command = worker.command(slots)
            variables = worker.variables | hurry
            supervisor.start(worker.queue, *command, variables=variables)
        yield
    # moto gives the next message to a poll whose worker is gone, where nobody takes it.
    queues = [worker.queue for worker in workers]
    bench.until(lambda: bench.sqs.polls(*queues) == 0)
