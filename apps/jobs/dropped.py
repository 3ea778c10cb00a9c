"""Files in a folder that somebody fills: which of them have come whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

SETTLED_SECONDS = 5.0
"""Nobody has written to a file for so long: it is whole, as far as one can see. Copies
over a network pause for less."""


class _Seen(NamedTuple):
    facts: tuple[int, int, int]
    since: float


@dataclass(slots=True)
class Dropped:
    """Looks at the files again and again, and tells each once for each content it has."""

    files: Callable[[], Iterable[Path]]
    _seen: dict[Path, _Seen] = field(default_factory=dict)
    _told: dict[Path, tuple[int, int, int]] = field(default_factory=dict)

    def settled(self, at: float) -> Iterator[Path]:
        """Those that have not changed for SETTLED_SECONDS; `at` is now, in seconds."""
        seen: dict[Path, _Seen] = {}
        for path in self.files():
            try:
                stat = path.stat()
            except OSError:  # it is gone again
                continue
            facts = stat.st_ino, stat.st_size, stat.st_mtime_ns
            before = self._seen.get(path)
            since = before.since if before and before.facts == facts else at
            seen[path] = _Seen(facts, since)
            is_new = self._told.get(path) != facts
            if is_new and stat.st_size and at - since >= SETTLED_SECONDS:
                self._told[path] = facts
                yield path
        self._seen = seen
