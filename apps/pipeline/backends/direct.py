"""Invocations that are answered over the connection that asks.

The same invocation sent again waits for the same answer, or is given it at once, so a
connection that breaks is made again, by this worker or by the next.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import NamedTuple, Protocol

import structlog
from django.conf import settings

from apps.jobs import ledger
from apps.jobs.models import Invocation
from apps.pipeline.backends import answers
from apps.pipeline.backends.base import PausedError, SegmentClaim
from apps.pipeline.backends.remote import (
    Patience,
    Wait,
    closing,
    note_waiting,
    noted,
    opened,
    request_for,
    sleep,
    verified,
)
from apps.pipeline.leases import Lease
from contract.errors import ErrorCode, StereoSpotError
from contract.invocation import Completed, Failed

log = structlog.get_logger(__name__)

BEGUN_SECONDS = 10.0
"""A request that has lasted so long was accepted: connecting takes less."""
AGAIN_SECONDS = 1.0
"""Before a broken connection is made again."""
MOST_BREAKS = 5
"""Connections that broke soon after one another: whatever is there, it keeps dying."""
LONG_SECONDS = 30.0
"""A connection that lasted so long was cut by something between that allows no longer."""


class AwayError(Exception):
    """Nobody is there to ask: nothing was begun, and nothing told."""


class BrokenError(Exception):
    """The connection broke before the answer came; the work may go on without it."""


class Reply(NamedTuple):
    status: int
    """Of HTTP."""
    body: str


class Send(Protocol):
    def __call__(
        self, body: str, check: Callable[[], None], *, inference_id: str
    ) -> Reply:
        """Ask and wait, with `check` at least every second.

        Raises `AwayError`, `BrokenError`, and whatever `check` does.
        """


class Conversation:
    """One segment, asked for until there is an answer."""

    def __init__(self, claim: SegmentClaim, lease: Lease, backend: str) -> None:
        self._claim = claim
        self._lease = lease
        self._wait = Wait(lease)
        self._breaks = 0
        self._invocation = opened(
            claim,
            lease,
            backend=backend,
            lasting=timedelta(seconds=settings.INVOCATION_WAIT_SECONDS),
        )

    def hold(self, send: Send) -> Completed:
        """See `Backend.convert`."""
        body = request_for(self._claim.segment).model_dump_json()
        answer = self._answer(send, body)
        with closing(self._invocation, self._lease):
            done = answers.completed(answer)
            return verified(self._claim, self._lease, done)

    def _answer(self, send: Send, body: str) -> Completed | Failed:
        patience = Patience(self._lease)
        while True:
            begun = time.monotonic()
            try:
                answer = _understood(self._reply(send, body))
            except AwayError as away:
                log.info("nobody there who could convert", reason=str(away))
            except BrokenError as broken:
                self._count_break(time.monotonic() - begun, str(broken))
                sleep(self._lease, AGAIN_SECONDS)
                patience = Patience(self._lease)
                continue
            else:
                if not answers.is_refusal(answer):
                    return answer
            note_waiting(self._invocation, is_waiting=True)
            patience.wait()

    def _reply(self, send: Send, body: str) -> Reply:
        begun = time.monotonic()

        def check() -> None:
            if time.monotonic() - begun > BEGUN_SECONDS:
                note_waiting(self._invocation, is_waiting=False)
            try:
                self._wait.check()
            except PausedError:
                if self._breaks:
                    raise _keeps_breaking() from None
                raise

        return send(body, check, inference_id=self._invocation.inference_id)

    def _count_break(self, lasted: float, reason: str) -> None:
        log.warning("the connection broke", reason=reason, seconds=round(lasted, 1))
        self._breaks = 1 if lasted > LONG_SECONDS else self._breaks + 1
        if self._breaks > MOST_BREAKS:
            noted(
                lambda: ledger.close_invocation(
                    self._invocation, Invocation.Outcome.LOST
                )
            )
            raise _keeps_breaking()


def _understood(reply: Reply) -> Completed | Failed:
    """Raises `AwayError` for what a proxy says when its server is away."""
    answer = answers.read(reply.body)
    if answer is not None:
        return answer
    if reply.status in (429, 502, 503, 504):
        raise AwayError(f"status {reply.status}")
    if reply.status >= 500:
        return answers.failure(f"status {reply.status}: {reply.body}")
    raise StereoSpotError(
        ErrorCode.MISCONFIGURED,
        f"What answers is no inference server of StereoSpot: status {reply.status}.",
    )


def _keeps_breaking() -> StereoSpotError:
    return StereoSpotError(
        ErrorCode.CRASHED, "The connection to the inference server breaks each time."
    )
