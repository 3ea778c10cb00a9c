"""A SageMaker endpoint: it answers into a bucket, or at once where it is a real-time one.

What is under way is a row of the ledger with the places where the answer will lie. It
outlives its worker, and whoever takes it up next waits for the same answer.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial

import structlog
from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings
from django.core.files.base import ContentFile
from django.utils.timezone import now

from apps.jobs import aws, ledger, storage
from apps.jobs.models import Invocation
from apps.pipeline.backends import answers
from apps.pipeline.backends.answers import Answer
from apps.pipeline.backends.base import Backend, Done, PausedError
from apps.pipeline.backends.calls import (
    AwayError,
    BrokenError,
    Reply,
    attended,
)
from apps.pipeline.backends.claims import Claimed, uri
from apps.pipeline.backends.direct import Conversation, withdraw
from apps.pipeline.backends.endpoint import Endpoint, fetched
from apps.pipeline.backends.remote import (
    PAUSE,
    Patience,
    Wait,
    closing,
    note_waiting,
    noted,
    opened,
    sleep,
    verified,
)
from apps.pipeline.leases import Lease
from contract.errors import ErrorCode, StereoSpotError

log = structlog.get_logger(__name__)

NAME = "sagemaker"
POLL_SECONDS = (2.0, 5.0)
"""Between two looks for an answer, at random, so that many do not look at once."""
MOST_SETTLED = 20
"""Invocations that nobody waits for, of which one look asks whether they are over."""


def endpoint() -> Backend:
    """As the environment says."""
    remote = Endpoint(settings.SAGEMAKER_ENDPOINT_NAME, settings.SAGEMAKER_REGION)
    return RealTime(remote) if settings.SAGEMAKER_REALTIME else Asynchronous(remote)


class RealTime:
    """The endpoint answers over the connection, like an inference server."""

    def __init__(self, remote: Endpoint) -> None:
        self._endpoint = remote

    def make(self, claim: Claimed, lease: Lease) -> Done:
        """See `Backend`. A call cannot be taken back, but is over within a minute."""
        return Conversation(claim, lease, self, backend=NAME).hold()

    def withdraw(self, invocation: Invocation) -> bool:
        """See `Backend`. The work ends with the call that still waits for it."""
        return withdraw(self, invocation)

    def ask(self, body: str, check: Callable[[], None], *, inference_id: str) -> Reply:
        """See `Line`."""
        ask = partial(self._endpoint.ask, body, inference_id=inference_id)
        return attended(ask, check)

    def enquire(self, body: str, *, inference_id: str) -> Reply:
        """See `Line`."""
        return self._endpoint.ask(body, inference_id=inference_id)


class Asynchronous:
    """The endpoint queues requests, and writes each answer into a bucket."""

    def __init__(self, remote: Endpoint) -> None:
        self._endpoint = remote
        self._settling = threading.Lock()

    def make(self, claim: Claimed, lease: Lease) -> Done:
        """See `Backend`."""
        wait = Wait(lease)
        invocation = opened(
            claim,
            lease,
            backend=NAME,
            lasting=_longest(),
            meanwhile=lambda: attended(self._settle, lease.check),
        )
        if invocation.is_under_way:
            log.info("waiting again", inference_id=invocation.inference_id)
        else:
            self._send(claim, lease, invocation)
        answer = self._answer(lease, wait, invocation)
        with closing(invocation, lease):
            if answers.is_refusal(answer):
                raise PausedError(PAUSE)
            return verified(claim, lease, answers.completed(answer))

    def withdraw(self, invocation: Invocation) -> bool:
        """See `Backend`. The endpoint has no call for it. But what it has not begun fails
        at once when the objects of a job are tidied: its request is one of them."""
        return True

    def _send(self, claim: Claimed, lease: Lease, invocation: Invocation) -> None:
        patience = Patience(lease)
        while True:
            given_up = threading.Event()
            send = partial(self._sent, claim, invocation, given_up)
            try:
                attended(send, lease.check, give_up=given_up.set)
                break
            except (AwayError, BrokenError) as away:
                # Broken: it may have been accepted. Then the server is asked the same
                # twice, and does it once.
                log.info("the endpoint does not take it yet", reason=str(away))
            patience.wait()
        log.info("sent to the endpoint", inference_id=invocation.inference_id)

    def _sent(
        self, claim: Claimed, invocation: Invocation, given_up: threading.Event
    ) -> None:
        """Send it and note that, although nobody may wait for it any more by then."""
        store = storage.source()
        key = claim.request_key
        store.save(key, ContentFile(claim.request().model_dump_json().encode()))
        if given_up.is_set():
            return
        accepted = self._endpoint.send(
            uri(store, key),
            inference_id=invocation.inference_id,
            queue_seconds=settings.SAGEMAKER_QUEUE_SECONDS,
            seconds=settings.SAGEMAKER_INVOKE_TIMEOUT_SECONDS,
        )
        expires_at = now() + _longest()
        noted(
            lambda: ledger.note_accepted(invocation, *accepted, expires_at=expires_at)
        )

    def _answer(self, lease: Lease, wait: Wait, invocation: Invocation) -> Answer:
        """Raises `StereoSpotError` when no answer can come any more."""
        while True:
            with suppress(AwayError):  # a store that is away says nothing of the answer
                if answer := attended(partial(_looked, invocation), lease.check):
                    return answer
                if now() > invocation.expires_at:
                    raise _lost(invocation)
            is_waiting = self._is_waiting(lease, invocation)
            note_waiting(invocation, is_waiting=is_waiting)
            wait.check()
            sleep(lease, random.uniform(*POLL_SECONDS))  # noqa: S311 (no secret)

    def _is_waiting(self, lease: Lease, invocation: Invocation) -> bool:
        """Whether no GPU has it in hand, as far as anybody outside can tell: there is no
        machine, or each has one that was sent before."""
        state = attended(self._endpoint.state, lease.check)
        if state.is_cold:
            return True
        if state.machines is None or not invocation.is_waiting:
            return False
        before = noted(partial(ledger.sent_before, invocation))
        return before >= state.machines

    def _settle(self) -> None:
        if self._settling.acquire(blocking=False):  # one of many threads is enough
            try:
                _settle_unattended()
            finally:
                self._settling.release()


def _settle_unattended() -> None:
    """Count no longer what has been answered since nobody waits for it."""
    for invocation in noted(lambda: ledger.unattended_invocations(MOST_SETTLED)):
        with suppress(AwayError, StereoSpotError):
            if _looked(invocation):
                noted(partial(ledger.note_over, invocation))


def _looked(invocation: Invocation) -> Answer | None:
    """What was written, if anything; AwayError when the store does not answer, and
    `StereoSpotError` when we may not read it."""
    try:
        if (text := fetched(invocation.success_uri)) is not None:
            return answers.read(text) or answers.failure(text)
        if invocation.failure_uri:
            text = fetched(invocation.failure_uri)
            return None if text is None else answers.failure(text)
    except (BotoCoreError, ClientError) as error:
        if (refused := aws.refusal(error)) is not None:
            raise refused from error
        log.warning("could not look for the answer", reason=str(error))
        raise AwayError(str(error)) from error
    return None


def _lost(invocation: Invocation) -> StereoSpotError:
    lost = Invocation.Outcome.LOST
    noted(lambda: ledger.close_invocation(invocation, lost))
    return StereoSpotError(
        ErrorCode.CRASHED, "The endpoint never answered, and cannot now."
    )


def _longest() -> timedelta:
    """From sending to the last moment at which an answer can appear."""
    return timedelta(
        seconds=settings.SAGEMAKER_QUEUE_SECONDS
        + settings.SAGEMAKER_INVOKE_TIMEOUT_SECONDS
        + settings.SAGEMAKER_LATE_SECONDS
    )
