"""A row of the table: ours against a rival, measured in turns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, TypeVar

Taken = TypeVar("Taken")

HEAD = (
    "| what | ours | against | it takes | ratio | least – most | goal | reached | runs "
    "|\n|---|---|---|---|---|---|---|---|---|"
)


@dataclass(frozen=True, slots=True)
class Row:
    """Figures of several runs; the n-th of ours and the n-th of the rival's are a pair."""

    name: str
    unit: str
    goal: float
    """Most that ours ÷ rival may be; without a rival, that ours may be."""
    rival_name: str = ""
    ours: Sequence[float] = ()
    rival: Sequence[float] = ()
    why_not: str = ""
    """Why it was not run."""

    @property
    def ratios(self) -> list[float]:
        pairs = zip(self.ours, self.rival, strict=True) if self.rival else ()
        return [ours / rival for ours, rival in pairs]

    @property
    def ratio(self) -> float | None:
        return median(self.ratios) if self.ratios else None

    @property
    def reached(self) -> bool | None:
        """None when it was not run."""
        if not self.ours:
            return None
        figure = median(self.ours) if self.ratio is None else self.ratio
        return figure <= self.goal

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "ours": median(self.ours) if self.ours else None,
            "rival": median(self.rival) if self.rival else None,
            "rival_name": self.rival_name,
            "unit": self.unit,
            "ratio": self.ratio,
            "least": min(self.ratios, default=None),
            "most": max(self.ratios, default=None),
            "goal": self.goal,
            "reached": self.reached,
            "runs": len(self.ours),
            "why_not": self.why_not,
        }

    def as_line(self) -> str:
        """Of a Markdown table below `HEAD`."""
        ratios = self.ratios
        cells = (
            self.name,
            self._cell(self.ours) or f"not run: {self.why_not}",
            self.rival_name or "–",
            self._cell(self.rival) or "–",
            "–" if self.ratio is None else f"{self.ratio:.2f}",
            f"{min(ratios):.2f} – {max(ratios):.2f}" if ratios else "–",
            f"≤ {self.goal:g}",
            {True: "yes", False: "**no**", None: "–"}[self.reached],
            str(len(self.ours)),
        )
        return f"| {' | '.join(cells)} |"

    def _cell(self, figures: Sequence[float]) -> str:
        return f"{median(figures):.3g} {self.unit}".strip() if figures else ""


def in_turns(
    ours: Callable[[], Taken], rival: Callable[[], Taken], runs: int
) -> tuple[list[Taken], list[Taken]]:
    """What each gave, run by run. Who begins changes, so that a machine that grows busier
    or warmer favours nobody."""
    taken: tuple[list[Taken], list[Taken]] = ([], [])
    for number in range(runs):
        for which in (0, 1) if number % 2 == 0 else (1, 0):
            taken[which].append((ours, rival)[which]())
    return taken


def table(rows: Iterable[Row]) -> str:
    return "\n".join([HEAD, *(row.as_line() for row in rows)])
