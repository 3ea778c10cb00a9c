"""Real workers of `tests.workers.app`, and the queues they work on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
from celery import Celery

ROOT = Path(__file__).parents[2]
VISIBILITY = 3  # seconds
# kombu's own, as "sqs", to see what each of these tests is for.
TRANSPORT = os.environ.get("TESTED_TRANSPORT", "workers.sqs:Transport")
KEYS = {"aws_access_key_id": "x", "aws_secret_access_key": "x"}


def until(what: Callable[[], Any], seconds: float = 30) -> Any:
    """What it says as soon as that is true; fails after so many seconds."""
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end, f"never happened: {what}"
        time.sleep(0.02)
    return found


def settings(port: int, queue: str, **options: Any) -> dict[str, Any]:
    """Celery's, for the SQS on that port; options of the transport."""
    return {
        "broker_url": f"sqs://x:x@127.0.0.1:{port}",
        "broker_transport": TRANSPORT,
        "broker_transport_options": {
            "is_secure": False,
            "region": "us-east-1",
            "queue_name_prefix": "",
            "wait_time_seconds": 1,
            "polling_interval": 0.1,
            "visibility_timeout": VISIBILITY,
            "client-config": {
                "connect_timeout": 2,
                "read_timeout": 2,
                "retries": {"total_max_attempts": 1},
            },
        }
        | options,
        "broker_connection_retry_on_startup": True,
        "task_default_queue": queue,
        "task_ignore_result": True,
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "worker_enable_remote_control": False,
        "worker_prefetch_multiplier": 1,
        "worker_hijack_root_logger": True,
    }


class Farm:
    """A queue of its own, workers on it, and what their tasks wrote down."""

    def __init__(self, folder: Path, port: int, upstream: int, **options: Any):
        self.folder = folder
        self.queue = f"q-{uuid.uuid4().hex[:12]}"
        self.log = folder / f"{self.queue}.log"
        self.log.touch()
        self.port = port
        self.options = options
        self.workers: list[Worker] = []
        self.app = Celery("tests", set_as_current=False)
        # The tests themselves are no target of the faults.
        self.app.conf.update(settings(upstream, self.queue, **options))
        self.sqs = boto3.client(
            "sqs", "us-east-1", endpoint_url=f"http://127.0.0.1:{upstream}", **KEYS
        )

    @property
    def url(self) -> str:
        url: str = self.sqs.get_queue_url(QueueName=self.queue)["QueueUrl"]
        return url

    def send(self, task: str, *args: Any, **options: Any) -> None:
        self.app.send_task(f"tests.workers.app.{task}", args, **options)

    def start(self, pool: str, slots: int = 1, **changes: Any) -> Worker:
        worker = Worker(self, pool, slots, **changes)
        self.workers.append(worker)
        return worker

    def times(self, what: str, name: str) -> list[float]:
        """When, by the clock, the task of that name said so."""
        lines = map(json.loads, self.log.read_text().splitlines())
        return [at for at, _, said, whose in lines if (said, whose) == (what, name)]

    def saw(self, what: str, name: str, count: int = 1) -> Callable[[], bool]:
        return lambda: len(self.times(what, name)) >= count

    def attributes(self, queue: str | None = None) -> dict[str, str]:
        url = self.sqs.get_queue_url(QueueName=queue or self.queue)["QueueUrl"]
        answer = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
        found: dict[str, str] = answer["Attributes"]
        return found

    def messages(self, queue: str | None = None, hide: int = 0) -> list[dict[str, Any]]:
        """Up to ten that nobody holds; the next call may have others if they are hidden.

        `hide` is in seconds.
        """
        url = self.sqs.get_queue_url(QueueName=queue or self.queue)["QueueUrl"]
        answer = self.sqs.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=10,
            VisibilityTimeout=hide,
            MessageSystemAttributeNames=["All"],
        )
        found: list[dict[str, Any]] = answer.get("Messages", [])
        return found

    def is_empty(self) -> bool:
        found = self.attributes()
        names = ("", "Delayed", "NotVisible")
        return not any(int(found[f"ApproximateNumberOfMessages{n}"]) for n in names)

    def stop(self) -> None:
        for worker in self.workers:
            worker.kill()
        self.app.close()
        self.sqs.close()


class Worker:
    """A worker's processes; `changes` are Celery settings."""

    def __init__(self, farm: Farm, pool: str, slots: int, **changes: Any):
        own = settings(farm.port, farm.queue, **farm.options) | changes
        number = len(farm.workers)
        self.output = farm.folder / f"{farm.queue}-{number}.out"
        command = [sys.executable, "-m", "celery", "-A", "tests.workers.app", "worker"]
        command += [
            "-P",
            pool,
            "-c",
            str(slots),
            "-l",
            "INFO",
            "-n",
            f"w{number}-{farm.queue}@here",
        ]
        command += ["--without-gossip", "--without-mingle", "--without-heartbeat"]
        environment = os.environ | {
            "WORKER_TEST": json.dumps(own | {"log": str(farm.log)})
        }
        environment.pop("DJANGO_SETTINGS_MODULE", None)  # no Django in these workers
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def says(self, text: str) -> Callable[[], bool]:
        return lambda: text in self.output.read_text(errors="replace")

    def wait_ready(self) -> Worker:
        until(self.says(" ready."))
        return self

    def is_alive(self) -> bool:
        return self.process.poll() is None

    def terminate(self) -> None:
        """SIGTERM for the worker alone, as an orchestrator does."""
        self.process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL for all of its processes."""
        if self.is_alive():
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
