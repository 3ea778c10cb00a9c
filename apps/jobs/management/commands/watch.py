"""`manage.py watch FOLDER DST`: each film that is put into a folder is converted.

A file counts once it has not changed for a while, so that copies and downloads may take
as long as they like. What was converted before is known by the ledger.
"""

from __future__ import annotations

import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from apps.jobs.batch import Batch, films_in, title_among
from apps.jobs.dropped import Dropped
from apps.jobs.local import RefusedError, was_delivered
from apps.jobs.management.local_command import LocalCommand


class Command(LocalCommand):
    help = "Convert each film that is put into a folder, until Ctrl-C."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", type=Path, metavar="FOLDER")
        parser.add_argument("target", type=Path, metavar="DST", help="a folder")
        self.add_wishes(parser)
        self.add_at_once(parser)

    def work(self, options: dict[str, Any]) -> None:
        folder, target = options["folder"], options["target"]
        for each in (folder, target):
            if not each.is_dir():
                raise RefusedError(f"{each} is no folder: make it first.")
        batch = Batch(
            lambda film: self.request(film, target, options, title=title_among(film)),
            at_once=options["at_once"],
            # Also when its final was moved away since.
            skip=was_delivered,
        )
        dropped = Dropped(lambda: films_in(folder, target=target))

        def more() -> bool:
            batch.add(dropped.settled(time.monotonic()))
            return True

        with self.stack() as stack:
            self.stdout.write(f"Films put into {folder} go to {target} (Ctrl-C stops).")
            self.stdout.flush()
            for outcome in self.followed(batch, stack, more):
                self.tell(outcome)
