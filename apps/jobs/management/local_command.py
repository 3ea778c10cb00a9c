"""What the commands share that convert films of this machine on this machine."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from abc import abstractmethod
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import InterfaceError, OperationalError
from django.db.models import Sum
from kombu.exceptions import KombuError
from tqdm import tqdm

from apps.jobs import local
from apps.jobs.batch import Batch, Outcome
from apps.jobs.models import Job, Segment
from contract.errors import StereoSpotError
from contract.modes import Engine, StereoMode
from stereospot.embedded import AlreadyRunsError, is_ready
from stereospot.postgres import EmbeddedError
from stereospot.stack import Stack, stop_when_told
from stereospot.supervisor import KeepsDyingError

POLL_SECONDS = 0.5
GONE = (InterfaceError, OperationalError, KombuError, BotoCoreError, ClientError)
"""What is raised once database or queue have stopped."""


class LocalCommand(BaseCommand):
    """Runs `work`; what goes wrong is one line for who must act."""

    def add_wishes(self, parser: ArgumentParser) -> None:
        """The arguments that say what is to be made of a film."""
        parser.add_argument("--mode", default="sbs", help=", ".join(StereoMode))
        parser.add_argument("--engine", default="preview", help=_engines())
        parser.add_argument(
            "--reference",
            action="store_true",
            help="as the engine's authors published it, to compare by",
        )
        parser.add_argument(
            "--max-disparity", type=float, default=2.0, help="percent of width, 0–10"
        )
        parser.add_argument(
            "--convergence", type=float, default=0.5, help="of the screen plane, 0–1"
        )

    def add_at_once(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--at-once",
            type=_count,
            default=2,
            metavar="N",
            help="how many films of a folder are on their way together",
        )

    def request(
        self, source: Path, target: Path, options: dict[str, Any], **more: Any
    ) -> local.Request:
        """Raises `local.RefusedError`."""
        names = ("mode", "engine", "max_disparity", "convergence", "reference")
        wishes = {name: options[name] for name in names}
        return local.Request.checked(source, target, **wishes, **more)

    def handle(self, *args: Any, **options: Any) -> None:
        stop_when_told()
        try:
            self.work(options)
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

    @abstractmethod
    def work(self, options: dict[str, Any]) -> None:
        """Check what is asked for, then do it inside `stack`."""

    def followed(
        self,
        batch: Batch,
        stack: Stack | None,
        more: Callable[[], bool] = lambda: False,
    ) -> Iterator[Outcome]:
        """What becomes of the films, until all are done and there will be no `more`."""
        # Not a terminal: no bar, but a line for each stage.
        with tqdm(unit=" frames", file=sys.stderr, leave=False, disable=None) as bar:
            said: dict[UUID, str] = {}
            while more() or not batch.is_idle:
                yield from batch.step()
                if bar.disable:
                    self._say(batch.running, said)
                else:
                    _show(bar, batch)
                time.sleep(POLL_SECONDS)
                if stack is not None:
                    stack.watch()

    def tell(self, outcome: Outcome) -> bool:
        """What became of one of many films; whether that is a failure."""
        if outcome.target is None:
            self.stderr.write(outcome.reason)
            return True
        self.stdout.write(f"{outcome.target} ({outcome.seconds:.0f} s)")
        self.stdout.flush()
        return False

    def _say(self, jobs: Iterable[Job], said: dict[UUID, str]) -> None:
        for job in jobs:
            if said.get(job.pk) != job.status:
                said[job.pk] = job.status
                self.stderr.write(f"{job.title}: {job.get_status_display()} …")

    @contextlib.contextmanager
    def stack(self) -> Iterator[Stack | None]:
        """Ours for as long as it takes, or the one that runs already."""
        with contextlib.ExitStack() as exits:
            stack = None
            while stack is None and not is_ready(settings.DATA_DIR):
                try:
                    stack = exits.enter_context(Stack())
                except AlreadyRunsError:  # it is starting, or stopping
                    time.sleep(POLL_SECONDS)
            try:
                yield stack
            except GONE:
                if stack is not None:
                    raise
                # The stack was another command's, which is done. We begin again with one
                # of our own, and with nothing in memory of database and queue.
                os.execv(sys.executable, [sys.executable, *sys.argv])  # noqa: S606


def _show(bar: tqdm[Any], batch: Batch) -> None:
    running = batch.running
    segments = Segment.objects.filter(job__in=running).order_by()
    totals = segments.aggregate(done=Sum("frames_done"), all=Sum("frame_count"))
    waiting = f", {batch.waiting} waiting" if batch.waiting else ""
    what = ", ".join(f"{job.title}: {job.get_status_display()}" for job in running)
    bar.set_description(f"{what}{waiting}")
    bar.total, bar.n = totals["all"], totals["done"] or 0
    bar.refresh()


def _count(text: str) -> int:
    if not (text.isdecimal() and 1 <= int(text) <= 100):
        raise ArgumentTypeError("a number from 1 to 100")
    return int(text)


def _engines() -> str:
    return ", ".join(f"{engine} ({engine.licence.summary})" for engine in Engine)
