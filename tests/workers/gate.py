"""A way to PostgreSQL that can be shut, or goes silent, for those who take it."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import Self

from stereospot.embedded import free_port


class Gate:
    """Context manager: TCP on `port` leads to a server's Unix socket."""

    def __init__(self, socket: str) -> None:
        self.port = free_port()
        self._socket = socket
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._flows: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._open = asyncio.Event()
        self._refuses = False

    def __enter__(self) -> Self:
        self._thread.start()
        self._do(self._listen())
        return self

    def __exit__(self, *exception: object) -> None:
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def shut(self) -> None:
        """Connections end, and new ones end at once."""
        self._do(self._shut())

    def silence(self) -> None:
        """Connections stay, and nothing comes through them."""
        self._do(self._silence())

    def open(self) -> None:
        self._do(self._reopen())

    def _do(self, what: object) -> None:
        asyncio.run_coroutine_threadsafe(what, self._loop).result(10)  # type: ignore[arg-type]

    async def _listen(self) -> None:
        self._open.set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def _shut(self) -> None:
        self._refuses = True
        for writer in tuple(self._writers):
            writer.transport.abort()

    async def _silence(self) -> None:
        self._open.clear()

    async def _reopen(self) -> None:
        self._refuses = False
        self._open.set()

    async def _close(self) -> None:
        self._server.close()
        await self._shut()
        for flow in tuple(self._flows):
            flow.cancel()
        await asyncio.gather(*self._flows, return_exceptions=True)

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if self._refuses:
            writer.transport.abort()
            return
        inner, out = await asyncio.open_unix_connection(self._socket)
        self._writers |= {writer, out}
        for source, target in ((reader, out), (inner, writer)):
            flow = asyncio.create_task(self._flow(source, target))
            self._flows.add(flow)
            flow.add_done_callback(self._flows.discard)

    async def _flow(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                await self._open.wait()
                target.write(data)
                await target.drain()
        self._writers.discard(target)
        target.transport.abort()
