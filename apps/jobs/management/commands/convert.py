"""`manage.py convert SRC DST`: one film through the real pipeline, with a progress bar.

The job is in the ledger like any other. The same command after a crash, or after
Ctrl-C, goes on with the same job; after a failure it retries it.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import InterfaceError, OperationalError
from django.db.models import Sum
from kombu.exceptions import KombuError
from tqdm import tqdm

from apps.jobs import local
from apps.jobs.models import Job
from contract.errors import StereoSpotError
from contract.modes import Engine, StereoMode
from stereospot.embedded import AlreadyRunsError, is_ready
from stereospot.postgres import EmbeddedError
from stereospot.stack import Stack, stop_when_told
from stereospot.supervisor import KeepsDyingError

POLL_SECONDS = 0.5
GONE = (InterfaceError, OperationalError, KombuError, BotoCoreError, ClientError)
"""What is raised once database or queue have stopped."""


class Command(BaseCommand):
    help = "Convert one film on this machine, through the real pipeline."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("source", type=Path, metavar="SRC")
        parser.add_argument("target", type=Path, metavar="DST", help="file or folder")
        parser.add_argument("--mode", default="sbs", help=", ".join(StereoMode))
        parser.add_argument("--engine", default="preview", help=_engines())
        parser.add_argument(
            "--reference",
            action="store_true",
            help="as the engine's authors published it, to compare by",
        )
        parser.add_argument(
            "--depth",
            type=Path,
            metavar="VIDEO",
            help="your own depth: a grey picture for each frame, the brighter the nearer",
        )
        parser.add_argument(
            "--max-disparity", type=float, default=2.0, help="percent of width, 0–10"
        )
        parser.add_argument(
            "--convergence", type=float, default=0.5, help="of the screen plane, 0–1"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        stop_when_told()
        try:
            request = local.Request.checked(
                options["source"],
                options["target"],
                mode=options["mode"],
                engine=options["engine"],
                max_disparity=options["max_disparity"],
                convergence=options["convergence"],
                depth=options["depth"],
                reference=options["reference"],
            )
            self._convert(request)
        except (EmbeddedError, KeepsDyingError, local.RefusedError) as error:
            raise CommandError(str(error)) from error
        except StereoSpotError as error:
            raise CommandError(f"{error} [{error.code}]") from error
        except GONE as error:
            raise CommandError(
                "Database or queue do not answer; whoever runs them must look: "
                f"{str(error).splitlines()[0]}"
            ) from error
        except KeyboardInterrupt:
            raise CommandError(
                "Interrupted. The same command goes on where it stopped.",
                returncode=130,
            ) from None

    def _convert(self, request: local.Request) -> None:
        with _stack() as stack:
            try:
                job = local.begin(request)
                self._follow(job, stack)
                self._finish(job, request)
            except GONE:
                if stack is not None:
                    raise
                # The stack was another command's, which is done. We begin again with one
                # of our own, and with nothing in memory of database and queue.
                os.execv(sys.executable, [sys.executable, *sys.argv])  # noqa: S606

    def _follow(self, job: Job, stack: Stack | None) -> None:
        shown = ""
        # Not a terminal: no bar, but a line for each stage.
        with tqdm(unit=" frames", file=sys.stderr, leave=False, disable=None) as bar:
            while not job.is_over:
                if bar.disable and shown != (shown := job.get_status_display()):
                    self.stderr.write(f"{shown} …")
                time.sleep(POLL_SECONDS)
                if stack is not None:
                    stack.watch()
                job.refresh_from_db()
                _show(bar, job)

    def _finish(self, job: Job, request: local.Request) -> None:
        if job.status != Job.Status.COMPLETED:
            ended = job.get_status_display().lower()
            reason = job.error_message or f"It was {ended}."
            code = f" [{job.error_code}]" if job.error_code else ""
            raise CommandError(f"{request.source.name}: {reason}{code}")
        target = local.deliver(job, request)
        seconds = ((job.finished_at or job.created_at) - job.created_at).total_seconds()
        self.stdout.write(f"{target} ({seconds:.0f} s)")


def _engines() -> str:
    return ", ".join(f"{engine} ({engine.licence.summary})" for engine in Engine)


@contextlib.contextmanager
def _stack() -> Iterator[Stack | None]:
    """Ours for as long as it takes, or the one that runs already."""
    with contextlib.ExitStack() as exits:
        stack = None
        while stack is None and not is_ready(settings.DATA_DIR):
            try:
                stack = exits.enter_context(Stack())
            except AlreadyRunsError:  # it is starting, or stopping
                time.sleep(POLL_SECONDS)
        yield stack


def _show(bar: tqdm[Any], job: Job) -> None:
    totals = job.segments.aggregate(done=Sum("frames_done"), all=Sum("frame_count"))
    bar.set_description(job.get_status_display())
    if totals["all"]:
        bar.total = totals["all"]
        bar.n = totals["done"]
    bar.refresh()
