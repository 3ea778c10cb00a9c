"""Invocations that their workers left behind."""

from __future__ import annotations

from apps.jobs import ledger
from apps.jobs.models import Invocation
from apps.pipeline.backends import backend

BATCH = 500
"""Most that one sweep treats."""


def withdraw_unwanted() -> int:
    """Whoever loses a segment withdraws what he had asked for, unless he was killed.

    How many were withdrawn. When one cannot be, the others have to wait for the next
    round, which is not to wait for each of them.
    """
    withdrawn = 0
    for invocation in ledger.unwanted_invocations(BATCH):
        if not backend().withdraw(invocation):
            break
        ledger.close_invocation(invocation, Invocation.Outcome.LOST)
        withdrawn += 1
    return withdrawn
