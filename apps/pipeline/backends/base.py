"""What every backend answers."""

from __future__ import annotations

from typing import Protocol, TypeAlias

from apps.jobs.models import Invocation
from apps.pipeline.backends.claims import Claimed
from apps.pipeline.leases import Lease
from contract.generation import Generated
from contract.invocation import Completed

Done: TypeAlias = Completed | Generated


class PausedError(Exception):
    """Its turn has not come: put back for `seconds`, which is no failed attempt."""

    def __init__(self, seconds: int) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class Backend(Protocol):
    def make(self, claim: Claimed, lease: Lease) -> Done:
        """Make what was claimed: its object is in the store then, and verified.

        Asks `lease.check` at least every second, and raises whatever that does;
        `StereoSpotError` when the attempt failed; `PausedError` when nothing failed, but
        nobody has a GPU for it yet.
        """

    def withdraw(self, invocation: Invocation) -> bool:
        """Nobody wants its answer: what can be stopped costs nothing more.

        Takes seconds at most; False when the other side could not be told, and is to be
        told later. Asks and changes nothing of the ledger; of a clip's, `job` is needed.
        """
