"""Connections to addresses that strangers gave us, and so to public ones only.

A name is looked up here and the connection made to what was found, so that no second
answer of the name server can lead elsewhere. Nothing of ours is reached that way: not this
machine, its network, or a cloud's metadata.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable
from concurrent.futures import Future
from threading import Thread
from typing import Any

import httpcore2
from django.conf import settings

from contract.addresses import is_public


class ForbiddenAddressError(httpcore2.ConnectError):
    """The name leads to an address that is not a public one."""


class PublicBackend(httpcore2.AsyncNetworkBackend):
    """Connects as the HTTP library does by itself, after a look at the address."""

    def __init__(self) -> None:
        self._plain = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        refused: Exception | None = None
        for address in await _addresses(host, port):
            if not is_allowed(address):
                refused = ForbiddenAddressError(f"{host} is not a public address.")
                continue
            try:
                return await self._plain.connect_tcp(
                    address, port, timeout, local_address, socket_options
                )
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                refused = error
        raise refused or httpcore2.ConnectError(f"{host} has no address.")


def is_allowed(address: str) -> bool:
    """Whether connections may be made to this IP address."""
    return settings.WEBHOOK_PRIVATE_ADDRESSES or is_public(address)


async def _addresses(host: str, port: int) -> list[str]:
    try:
        found = await asyncio.wrap_future(_asked(host, port))
    except (OSError, UnicodeError) as error:
        raise httpcore2.ConnectError(f"{host} is not known.") from error
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def _asked(host: str, port: int) -> Future[list[Any]]:
    """What the resolver says, from a thread of its own.

    The event loop's own threads are waited for at its end, however long the resolver
    takes: then no time limit would hold.
    """
    found: Future[list[Any]] = Future()
    found.set_running_or_notify_cancel()

    def ask() -> None:
        try:
            found.set_result(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, ValueError) as error:
            found.set_exception(error)

    Thread(target=ask, name="resolver", daemon=True).start()
    return found
