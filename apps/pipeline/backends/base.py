"""What every backend is given, and what it answers."""

from __future__ import annotations

import time
from typing import Protocol

from apps.jobs import ledger
from apps.jobs.models import Invocation, Segment
from apps.pipeline.leases import Lease
from contract.invocation import Completed, Conversion
from contract.modes import Engine, StereoMode


class PausedError(Exception):
    """Its turn has not come: put back for `seconds`, which is no failed attempt."""

    def __init__(self, seconds: int) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class SegmentClaim:
    """A claimed segment: the engine counts its frames, the lease's renewal records."""

    def __init__(self, segment: Segment) -> None:
        self.segment = segment
        self.frames_done = 0
        self._first: tuple[float, int] | None = None

    def renew(self) -> bool:
        return ledger.renew_segment(self.segment, frames_done=self.frames_done)

    def release(self) -> bool:
        return ledger.release_segment(self.segment)

    def pause(self, seconds: int) -> bool:
        """Put it back, for others to go on with in so many seconds."""
        return ledger.pause_segment(self.segment, seconds=seconds)

    def count(self, frames: int) -> None:
        """So many more are done; 0 says that it has begun."""
        self.frames_done += frames
        self._first = self._first or (time.monotonic(), self.frames_done)

    def remaining(self, elapsed: float) -> float:
        """By the pace since it began, which evens out the bursts that some engines give in;
        what came before, such as loading an engine, comes once."""
        since, at_first = self._first or (0.0, self.frames_done)
        if self.frames_done == at_first:
            return elapsed
        pace = (time.monotonic() - since) / (self.frames_done - at_first)
        return pace * (self.segment.frame_count - self.frames_done)


class Backend(Protocol):
    def convert(self, claim: SegmentClaim, lease: Lease) -> Completed:
        """Convert a claimed segment; its verified stereo segment is in the store then.

        Asks `lease.check` at least every second, and raises whatever that does;
        `StereoSpotError` when the attempt failed; `PausedError` when nothing failed, but
        nobody has a GPU for it yet.
        """

    def withdraw(self, invocation: Invocation) -> bool:
        """Nobody wants its answer: what can be stopped costs nothing more.

        Takes seconds at most; False when the other side could not be told, and is to be
        told later. Asks and changes nothing of the ledger.
        """


def conversion_of(segment: Segment) -> Conversion:
    job = segment.job
    return Conversion(
        mode=StereoMode(job.mode),
        engine=Engine(job.engine),
        settings=job.settings,
        frames=segment.get_frames(),
        depth=segment.get_depth(),
        picture=job.get_picture(),
        # The film's, for all its segments and attempts: frames that two of them see get
        # the same noise, and a retry gets the noise it had.
        seed=job.pk.int % 2**31,
    )
