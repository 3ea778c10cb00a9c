"""An inference server somewhere, over plain HTTP or HTTPS."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import httpx2
from pydantic import SecretStr

from apps.jobs.models import Invocation
from apps.pipeline.backends.base import Done
from apps.pipeline.backends.calls import (
    TICK,
    AwayError,
    BrokenError,
    Reply,
    attended,
    tls_refusal,
)
from apps.pipeline.backends.claims import Claimed
from apps.pipeline.backends.direct import ENQUIRY_SECONDS, Conversation, withdraw
from apps.pipeline.leases import Lease
from contract.errors import ErrorCode, StereoSpotError

CONNECT_SECONDS = 5.0


class Http:
    """Asks the server at `url`, showing it `token`."""

    def __init__(self, url: str, token: SecretStr | None) -> None:
        self._url = f"{url}/invocations"
        self._headers = {"Content-Type": "application/json"}
        if token is not None:
            self._headers["Authorization"] = f"Bearer {token.get_secret_value()}"

    def make(self, claim: Claimed, lease: Lease) -> Done:
        """See `Backend`. The connection is closed when the lease is gone."""
        return Conversation(claim, lease, self, backend="http").hold()

    def withdraw(self, invocation: Invocation) -> bool:
        """See `Backend`."""
        return withdraw(self, invocation)

    def ask(self, body: str, check: Callable[[], None], *, inference_id: str) -> Reply:
        """See `Line`."""
        given_up = threading.Event()
        exchange = partial(asyncio.run, self._exchange(body, inference_id, given_up))
        with _sorted():
            return attended(exchange, check, give_up=given_up.set)

    def enquire(self, body: str, *, inference_id: str) -> Reply:
        """See `Line`."""
        headers = self._headers | {"X-Request-Id": inference_id}
        with _sorted():
            answer = httpx2.post(
                self._url, content=body, headers=headers, timeout=ENQUIRY_SECONDS
            )
        return Reply(answer.status_code, answer.text)

    async def _exchange(
        self, body: str, inference_id: str, given_up: threading.Event
    ) -> Reply:
        """Closes the connection soon after it was given up, whatever it waits for."""
        # Nothing is said while the work lasts; how long that may be the caller knows.
        limits = httpx2.Timeout(30.0, connect=CONNECT_SECONDS, read=None)
        headers = self._headers | {"X-Request-Id": inference_id}
        async with httpx2.AsyncClient(timeout=limits, headers=headers) as client:
            asking = asyncio.create_task(client.post(self._url, content=body))
            while not asking.done() and not given_up.is_set():
                await asyncio.wait([asking], timeout=TICK)
            if not asking.done():
                asking.cancel()
            response = await asking
            return Reply(response.status_code, response.text)


@contextmanager
def _sorted() -> Iterator[None]:
    """What passes by itself, from what somebody must mend."""
    try:
        yield
    except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
        if (refused := tls_refusal(error)) is not None:
            raise StereoSpotError(
                ErrorCode.MISCONFIGURED,
                f"No safe connection to the inference server: {refused}. Mend its "
                "certificate, or INFERENCE_HTTP_URL.",
            ) from error
        raise AwayError(str(error) or type(error).__name__) from error
    except httpx2.TransportError as error:
        raise BrokenError(str(error) or type(error).__name__) from error
