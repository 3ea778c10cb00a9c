"""Post to an address that a stranger gave us, within seconds, and see the status alone."""

from __future__ import annotations

import asyncio

import httpcore2

from apps.pipeline.channels.public import PublicBackend
from apps.pipeline.channels.untold import UntoldError

SECONDS = 15.0
"""Most that one attempt may take, from the look-up of the name to the status."""


def post(
    url: str, headers: dict[str, str], body: bytes, *, gone: tuple[int, ...]
) -> str:
    """The status that says it was taken; raises `UntoldError`.

    Redirects are not followed, the answer is not read. `gone` are the statuses that say
    that the address will never take anything again.
    """
    headers = {"User-Agent": "StereoSpot", **headers}
    try:
        status = asyncio.run(_post(url, headers, body))
    except (TimeoutError, httpcore2.TimeoutException) as error:
        raise UntoldError(f"No answer within {SECONDS:.0f} seconds.") from error
    except (
        httpcore2.NetworkError,
        httpcore2.ProtocolError,
        httpcore2.UnsupportedProtocol,
    ) as error:
        raise UntoldError(str(error) or "No connection.") from error
    if not 200 <= status < 300:
        raise UntoldError(f"HTTP {status}", gone=status in gone)
    return f"HTTP {status}"


async def _post(url: str, headers: dict[str, str], body: bytes) -> int:
    async with (
        asyncio.timeout(SECONDS),
        httpcore2.AsyncConnectionPool(network_backend=PublicBackend()) as pool,
        pool.stream(
            "POST", url, headers=list(headers.items()), content=body
        ) as response,
    ):
        return response.status
