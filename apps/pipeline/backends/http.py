"""An inference server somewhere, over plain HTTP or HTTPS."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from functools import partial

import httpx2
from pydantic import SecretStr

from apps.pipeline.backends.base import SegmentClaim
from apps.pipeline.backends.direct import AwayError, BrokenError, Conversation, Reply
from apps.pipeline.backends.remote import TICK, attended
from apps.pipeline.leases import Lease
from contract.invocation import Completed

CONNECT_SECONDS = 5.0


class Http:
    """Asks the server at `url`, showing it `token`."""

    def __init__(self, url: str, token: SecretStr | None) -> None:
        self._url = f"{url}/invocations"
        self._headers = {"Content-Type": "application/json"}
        if token is not None:
            self._headers["Authorization"] = f"Bearer {token.get_secret_value()}"

    def convert(self, claim: SegmentClaim, lease: Lease) -> Completed:
        """See `Backend`. The connection is closed when the lease is gone."""
        return Conversation(claim, lease, "http").hold(self._send)

    def _send(
        self, body: str, check: Callable[[], None], *, inference_id: str
    ) -> Reply:
        given_up = threading.Event()
        exchange = partial(asyncio.run, self._exchange(body, inference_id, given_up))
        try:
            return attended(exchange, check, give_up=given_up.set)
        except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
            raise AwayError(str(error) or type(error).__name__) from error
        except httpx2.TransportError as error:
            raise BrokenError(str(error) or type(error).__name__) from error

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
