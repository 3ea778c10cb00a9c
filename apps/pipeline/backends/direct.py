"""Invocations that are answered over the connection that asks.

The same invocation sent again waits for the same answer, or is given it at once, so a
connection that breaks is made again, by this worker or by the next. Until then the other
side goes on; who gives up for good tells it so.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Protocol

import structlog
from django.conf import settings
from pydantic import ValidationError

from apps.jobs import ledger
from apps.jobs.models import Invocation
from apps.pipeline.backends import answers
from apps.pipeline.backends.answers import Answer
from apps.pipeline.backends.base import Done, PausedError
from apps.pipeline.backends.calls import (
    AwayError,
    BrokenError,
    Reply,
    at_most,
    attended,
)
from apps.pipeline.backends.claims import Claimed, output_uri
from apps.pipeline.backends.remote import (
    Patience,
    Wait,
    closing,
    note_waiting,
    noted,
    opened,
    sleep,
    verified,
)
from apps.pipeline.leases import Lease, LeaseLostError
from contract.errors import ErrorCode, StereoSpotError
from contract.invocation import Enquiry, Failed, Standing, State

log = structlog.get_logger(__name__)

LOOKS = (1.0, 5.0)
"""Seconds after which is asked whether the work has begun: first, and again."""
ENQUIRY_SECONDS = 5.0
"""For the other side to answer what needs no work."""
AGAIN_SECONDS = 1.0
"""Before a broken connection is made again."""
MOST_BREAKS = 5
"""Connections that broke soon after one another: whatever is there, it keeps dying."""
LONG_SECONDS = 30.0
"""A connection that lasted so long was cut by something between that allows no longer."""


class Line(Protocol):
    """A way to the other side. Raises `AwayError` and `BrokenError`."""

    def ask(self, body: str, check: Callable[[], None], *, inference_id: str) -> Reply:
        """Ask and wait, with `check` at least every second, and whatever it raises."""

    def enquire(self, body: str, *, inference_id: str) -> Reply:
        """Ask what is answered at once, or never."""


class Conversation:
    """One segment or clip, asked for until there is an answer."""

    def __init__(
        self, claim: Claimed, lease: Lease, line: Line, *, backend: str
    ) -> None:
        self._claim = claim
        self._lease = lease
        self._line = line
        self._wait = Wait(lease)
        self._breaks = 0
        self._invocation = opened(
            claim,
            lease,
            backend=backend,
            # As long as the other side may be at it, with nobody waiting in the end.
            lasting=timedelta(
                seconds=settings.INVOCATION_WAIT_SECONDS
                + settings.INVOCATION_LINGER_SECONDS
            ),
        )

    @property
    def _inference_id(self) -> str:
        return self._invocation.inference_id

    def hold(self) -> Done:
        """See `Backend.make`."""
        request = self._claim.request()
        try:
            answer = self._answer(request.model_dump_json())
            with closing(self._invocation, self._lease):
                done = answers.completed(answer)
                return verified(self._claim, self._lease, done)
        except LeaseLostError:
            self._withdraw_unless_wanted()
            raise

    def _answer(self, body: str) -> Answer:
        patience = Patience(self._lease)
        while True:
            begun = time.monotonic()
            try:
                answer = _understood(self._reply(body))
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

    def _reply(self, body: str) -> Reply:
        first, later = LOOKS
        look = time.monotonic() + first

        def check() -> None:
            nonlocal look
            if self._invocation.is_waiting and time.monotonic() > look:
                self._look()
                look = time.monotonic() + later
            try:
                self._wait.check()
            except PausedError:
                if self._breaks:
                    raise _keeps_breaking() from None
                raise

        return self._line.ask(body, check, inference_id=self._inference_id)

    def _look(self) -> None:
        """Whether a GPU has it in hand by now; who cannot say leaves it open."""
        in_time = at_most(ENQUIRY_SECONDS)

        def check() -> None:
            self._lease.check()
            in_time()

        look = Enquiry(task="look", output_uri=self._claim.target.uri)
        ask = partial(_enquire, self._line, look, inference_id=self._inference_id)
        if attended(partial(_or_unknown, ask), check) is State.CONVERTING:
            note_waiting(self._invocation, is_waiting=False)

    def _withdraw_unless_wanted(self) -> None:
        """Not when another worker goes on with it: that wants the same answer."""
        if noted(lambda: ledger.is_wanted(self._claim.owner)):
            return
        cancel = Enquiry(task="cancel", output_uri=self._claim.target.uri)
        if _withdrawn(self._line, cancel, inference_id=self._inference_id):
            self._close_as_lost()

    def _count_break(self, lasted: float, reason: str) -> None:
        log.warning("the connection broke", reason=reason, seconds=round(lasted, 1))
        self._breaks = 1 if lasted > LONG_SECONDS else self._breaks + 1
        if self._breaks > MOST_BREAKS:
            self._close_as_lost()
            raise _keeps_breaking()

    def _close_as_lost(self) -> None:
        lost = Invocation.Outcome.LOST
        noted(lambda: ledger.close_invocation(self._invocation, lost))


def withdraw(line: Line, invocation: Invocation) -> bool:
    """See `Backend.withdraw`."""
    enquiry = Enquiry(task="cancel", output_uri=output_uri(invocation))
    return _withdrawn(line, enquiry, inference_id=invocation.inference_id)


def _withdrawn(line: Line, enquiry: Enquiry, *, inference_id: str) -> bool:
    cancel = partial(_enquire, line, enquiry, inference_id=inference_id)
    try:
        attended(cancel, at_most(ENQUIRY_SECONDS))
    except (AwayError, BrokenError, StereoSpotError) as error:
        log.warning("could not withdraw an invocation", reason=str(error))
        return False
    log.info("invocation withdrawn", inference_id=inference_id)
    return True


def _enquire(line: Line, enquiry: Enquiry, *, inference_id: str) -> State:
    reply = line.enquire(enquiry.model_dump_json(), inference_id=inference_id)
    try:
        return Standing.model_validate_json(reply.body).state
    except ValidationError:
        refused = answers.read(reply.body)
        said = refused.message if isinstance(refused, Failed) else reply.body
        raise AwayError(
            f"status {reply.status}: {said[: answers.MOST_SHOWN]}"
        ) from None


def _or_unknown(ask: Callable[[], State]) -> State:
    try:
        return ask()
    except (AwayError, BrokenError, StereoSpotError) as error:
        log.info("could not ask how it stands", reason=str(error))
        return State.UNKNOWN


def _understood(reply: Reply) -> Answer:
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
