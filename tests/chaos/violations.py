"""What the checks find."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Violation:
    kind: str
    """See `tests.chaos.invariants`."""
    job: str
    what: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.job} {self.what}"
