"""Calls to the other side: how they end, and how not to be held up by one."""

from __future__ import annotations

import contextvars
import ssl
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import NamedTuple, TypeVar

Answer = TypeVar("Answer")

TICK = 0.5
"""Seconds between two questions whether to go on."""

_HUNG_UP = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)
"""While it was being greeted: the other side starts, or stops."""


class AwayError(Exception):
    """Nobody is there to ask: nothing was begun, and nothing told."""


class BrokenError(Exception):
    """The connection broke before the answer came; the work may go on without it."""


class Reply(NamedTuple):
    status: int
    """Of HTTP."""
    body: str


def attended(
    call: Callable[[], Answer],
    check: Callable[[], None],
    *,
    give_up: Callable[[], None] = lambda: None,
) -> Answer:
    """What `call` gives, which may take long; `check` is asked meanwhile.

    When that raises, `give_up` is called and the call is left to itself: no worker that
    wants to stop has to wait for it.
    """
    answer: Future[Answer] = Future()

    def work() -> None:
        try:
            answer.set_result(call())
        except BaseException as error:  # noqa: BLE001 (raised again where it is awaited)
            answer.set_exception(error)

    context = contextvars.copy_context()
    threading.Thread(
        target=context.run, args=(work,), name="invocation", daemon=True
    ).start()
    try:
        while wait([answer], timeout=TICK).not_done:
            check()
    except BaseException:
        give_up()
        raise
    return answer.result()


def tls_refusal(error: BaseException) -> ssl.SSLError | None:
    """Why the two cannot agree upon a certificate or a protocol, if it is that."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError) and not isinstance(cause, _HUNG_UP):
            return cause
        cause = cause.__cause__ or cause.__context__
    return None


def at_most(seconds: float) -> Callable[[], None]:
    """A check that raises `AwayError` when so much time has passed."""
    end = time.monotonic() + seconds

    def check() -> None:
        if time.monotonic() > end:
            raise AwayError(f"no answer within {seconds:.0f} s")

    return check
