"""Everything that StereoSpot needs on one machine: services, ledger's tables, workers.

What the environment names (a database, a broker) is used and not started. Workers are
started beside the embedded queue only: those of another broker run elsewhere.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from typing import Self

import psutil
from django.conf import settings
from django.core.management import call_command
from django.db import connections

from apps.jobs import ledger
from apps.pipeline import messages
from stereospot.celery import app
from stereospot.embedded import Services, free_port, is_free, say_ready
from stereospot.environment import Environment
from stereospot.machine import has_card
from stereospot.postgres import EmbeddedError
from stereospot.supervisor import Supervisor

MEMORY_PER_CONVERSION = 4 * 1024**3
"""Bytes; the preview engine takes less than half of it at 1080p."""

FLOWER_PORT = 5555


class Stack:
    """Context manager: the stack runs inside it. Call `watch` every second or so."""

    def __init__(self, *, web_address: str | None = None) -> None:
        self._web_address = web_address
        self._exit = contextlib.ExitStack()
        self._supervisor = Supervisor(settings.DATA_DIR / "logs")
        self.flower_url = ""
        """Where Flower is, if it was started."""

    def __enter__(self) -> Self:
        env = Environment()
        with contextlib.ExitStack() as cleanup:
            cleanup.enter_context(
                Services(
                    settings.DATA_DIR,
                    database=env.database_url is None,
                    sqs=env.celery_broker_url is None,
                )
            )
            cleanup.callback(connections.close_all)
            call_command("migrate", verbosity=0)
            cleanup.enter_context(self._supervisor)
            if env.celery_broker_url is None:
                if env.database_url is None:
                    # Nobody else works on this ledger, and nobody of ours yet. A stop
                    # is no failure of the film that was being converted.
                    ledger.begin_afresh()
                self._start_workers()
                if self._web_address:
                    self._start_flower()
            if self._web_address:
                self._start_web(self._web_address)
            say_ready(settings.DATA_DIR)
            self._exit = cleanup.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self._exit.close()

    def watch(self) -> None:
        """Start again what has died."""
        self._supervisor.watch()

    def _start_workers(self) -> None:
        celery = ("-m", "celery", "--quiet", "-A", "stereospot")
        options = ("--without-gossip", "--without-mingle", "--without-heartbeat")
        worker = (*celery, "worker", *options, "-n")
        messages.declare_queues()
        start = self._supervisor.start
        start("gpu", *worker, "gpu@%h", "-Q", "gpu", *_pool())
        start("media", *worker, "media@%h", "-Q", "media", "-c", "2")
        threads = ("-P", "threads", "-c", "4")
        start("control", *worker, "control@%h", "-Q", "control", *threads)
        schedule = settings.DATA_DIR / "beat-schedule"
        start("beat", *celery, "beat", "-s", str(schedule), "--pidfile=")
        # What an earlier run left unfinished need not wait for the first regular one.
        app.send_task("sweep")

    def _start_flower(self) -> None:
        """At its usual port, or at another one when that is taken."""
        port = FLOWER_PORT if is_free(FLOWER_PORT) else free_port()
        self.flower_url = f"http://127.0.0.1:{port}"
        command = ("-m", "celery", "-A", "stereospot.flower", "flower")
        options = ("--address=127.0.0.1", f"--port={port}")
        self._supervisor.start("flower", *command, *options)

    def _start_web(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        if not port.isdigit() or not is_free(int(port), host):
            raise EmbeddedError(
                f"The address {address} cannot be had: another program has it, or it is "
                "none of this machine. Choose one with --address HOST:PORT."
            )
        call_command("collectstatic", interactive=False, verbosity=0)
        # Each part of an upload that is on its way has a thread.
        threads = ("--worker-class", "gthread", "--workers", "2", "--threads", "16")
        options = ("--bind", address, "--timeout", "120", "--no-control-socket")
        self._supervisor.start(
            "web",
            *("-m", "gunicorn", "stereospot.wsgi", *threads, *options),
            *("--logger-class", "stereospot.gunicorn.Logger"),
            variables={"FLOWER_URL": self.flower_url} if self.flower_url else None,
        )
        while is_free(int(port), host):  # until it listens
            time.sleep(0.2)
            self.watch()


def stop_when_told() -> None:
    """SIGTERM and SIGINT interrupt like Ctrl-C, so that everything is put away.

    Also where a shell that starts us in the background has told us to ignore SIGINT.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)


def _pool() -> tuple[str, ...]:
    """A process for each conversion; whoever only waits for one is a thread."""
    if settings.INFERENCE_BACKEND == "local":
        return ("-c", str(conversions()))
    return ("-P", "threads", "-c", str(settings.INFERENCE_MAX_IN_FLIGHT))


def conversions() -> int:
    """How many segments this machine converts at once, by its card, cores and memory.

    On a card one: its networks and what they work on fill it, and nobody shares well.
    """
    if has_card():
        return 1
    memory = psutil.virtual_memory().total
    try:  # a container may have fewer than the machine
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS
        cores = os.cpu_count() or 1
    return max(1, min(cores, memory // MEMORY_PER_CONVERSION))
