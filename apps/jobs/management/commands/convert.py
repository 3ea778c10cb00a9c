"""`manage.py convert SRC DST`: a film, or a folder of them, through the real pipeline.

Jobs are in the ledger like any other. The same command after a crash, or after Ctrl-C,
goes on with the same jobs; after a failure it retries them.
"""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from apps.jobs.batch import VIDEOS, Batch, films_in, target_in, title_among
from apps.jobs.local import RefusedError
from apps.jobs.management.local_command import LocalCommand


class Command(LocalCommand):
    help = "Convert a film, or a folder of films, on this machine."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("source", type=Path, metavar="SRC", help="film or folder")
        parser.add_argument("target", type=Path, metavar="DST", help="file or folder")
        self.add_wishes(parser)
        parser.add_argument(
            "--depth",
            type=Path,
            metavar="VIDEO",
            help="your own depth: a grey picture for each frame, the brighter the nearer",
        )
        parser.add_argument(
            "--pattern",
            default=VIDEOS,
            help="which films of a folder: '*.mkv', or '**/*.mkv' with those below it; "
            "all that are called like films, if not said",
        )
        self.add_at_once(parser)

    def work(self, options: dict[str, Any]) -> None:
        source, target = options["source"], options["target"]
        if source.is_dir():
            self._convert_folder(source, target, options)
            return
        request = self.request(source, target, options, depth=options["depth"])
        batch = Batch(lambda _: request, at_once=1)
        batch.add([source])
        with self.stack() as stack:
            for outcome in self.followed(batch, stack):
                if outcome.target is None:
                    raise CommandError(outcome.reason)
                self.tell(outcome)

    def _convert_folder(
        self, folder: Path, target: Path, options: dict[str, Any]
    ) -> None:
        films = self._films(folder, target, options)
        batch = Batch(
            lambda film: self.request(
                film,
                target_in(target, film, folder=folder),
                options,
                title=title_among(film),
            ),
            at_once=options["at_once"],
        )
        batch.add(films)
        failed = 0
        with self.stack() as stack:
            for outcome in self.followed(batch, stack):
                failed += self.tell(outcome)
        if failed:
            raise CommandError(
                f"{failed} of {len(films)} films could not be converted; the others are "
                "done. The same command tries those again."
            )

    def _films(self, folder: Path, target: Path, options: dict[str, Any]) -> list[Path]:
        """Raises `RefusedError` where nothing could be done."""
        if options["depth"] is not None:
            raise RefusedError("--depth belongs to one film: name that, not a folder.")
        if target.exists() and not target.is_dir():
            raise RefusedError(f"{target} is a file: name a folder for many films.")
        try:
            films = list(films_in(folder, options["pattern"], target=target))
        except (ValueError, NotImplementedError) as error:
            raise RefusedError(
                f"--pattern {options['pattern']!r} cannot be used ({error}): name one "
                "that begins in the folder, such as '*.mkv' or '**/*.mkv'."
            ) from error
        if not films:
            raise RefusedError(f"There is no film in {folder}: see --pattern.")
        return films
