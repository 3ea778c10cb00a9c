"""The inference server: `/ping`, `/invocations` and `/metrics`, as SageMaker has them.

It answers while the child converts, and decides who may ask, what for, and when to stop.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable, Iterator
from socket import socket
from typing import TypeAlias

import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from contract.errors import Blame, ErrorCode, StereoSpotError
from contract.generation import Generated
from contract.invocation import Completed, Enquiry, Failed, Standing
from inference.service.bodies import LARGEST_BODY, asked_in, bad_request
from inference.service.desk import Desk, stopping
from inference.service.door import Door, RefusedError
from inference.service.metrics import Metrics
from inference.service.objects import Objects, Results
from inference.service.settings import Settings
from inference.service.worker import Worker

log = structlog.get_logger(__name__)

RETRY_SECONDS = 5
"""What a caller is told to wait when the server is busy."""
LAST_SECONDS = 5.0
"""Of the time to stop in: to cancel what runs, and to answer who waits for it."""
STATUSES = {
    ErrorCode.UNAUTHORIZED: 401,
    ErrorCode.FORBIDDEN_URI: 403,
    ErrorCode.BAD_REQUEST: 422,
    ErrorCode.BUSY: 429,
}
"""Of codes that say more than their blame does."""
BLAMES = {Blame.USER: 422, Blame.TRANSIENT: 503}

GONE = 499
"""Nobody reads it: the caller has closed the connection."""

Endpoint: TypeAlias = Callable[[Request], Awaitable[Response]]


class Service:
    """The endpoints, and what they stand on."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._door = Door(settings)
        self._metrics = Metrics()
        self.worker = Worker(settings, self._metrics)
        # Not as patient as the child: who stops must not wait for a store that is away.
        store = Objects(settings.aws_region, read_seconds=5, attempts=2)
        results = Results(store)
        self._desk = Desk(settings, self.worker, results, self._metrics)

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/ping", self._told(self._ping), methods=["GET"]),
                Route("/invocations", self._told(self._invoke), methods=["POST"]),
                Route("/metrics", self._told(self._measure), methods=["GET"]),
            ]
        )

    async def stop(self) -> None:
        """Take nothing more; finish what can be finished in time, cancel the rest."""
        grace = self._settings.shutdown_grace_seconds
        last = min(LAST_SECONDS, grace / 2)
        self.worker.cancel_seconds = last / 2
        await self._desk.close(grace - last)

    async def _ping(self, request: Request) -> Response:
        if self._desk.is_closed:
            raise stopping()
        if (trouble := self.worker.trouble) is not None:
            return _answer(trouble, status=503)
        return Response('{"status":"ok"}', media_type="application/json")

    async def _invoke(self, request: Request) -> Response:
        self._door.check_token(request)
        self._door.check_kind(request)
        asked = asked_in(await _body(request))
        if isinstance(asked, Enquiry):
            return _answer(self._desk.standing(asked))
        async with self._desk.flight(asked) as flight:
            gone = asyncio.create_task(_gone(request))
            try:
                # Not awaited itself: who gives up must not end it for the others.
                await asyncio.wait(
                    {flight.task, gone}, return_when=asyncio.FIRST_COMPLETED
                )
            finally:
                gone.cancel()
            if not flight.task.done():
                log.info("a caller is gone", output=asked.output_uri)
                return Response(status_code=GONE)
            if flight.task.cancelled():
                raise stopping()
            return _answer(flight.task.result())

    async def _measure(self, request: Request) -> Response:
        self._door.check_token(request)
        return Response(self._metrics.text(), media_type="text/plain; version=0.0.4")

    def _told(self, endpoint: Endpoint) -> Endpoint:
        """What it raises as an answer."""

        async def told(request: Request) -> Response:
            structlog.contextvars.clear_contextvars()
            if request_id := request.headers.get("x-request-id"):
                # The caller's name for it, as long as a line has room for.
                structlog.contextvars.bind_contextvars(request_id=request_id[:100])
            try:
                self._door.check_browser(request)
                return await endpoint(request)
            except StereoSpotError as error:
                log.info(
                    "refused",
                    path=request.url.path,
                    code=error.code.value,
                    reason=error.message,
                )
                return _failure(error)
            except ClientDisconnect:
                return Response(status_code=GONE)
            except Exception:
                log.exception("an answer that we did not expect to give")
                message = "Something that we did not expect; it is in the server's log."
                return _failure(StereoSpotError(ErrorCode.INTERNAL, message))

        return told


class Server(uvicorn.Server):
    """Uvicorn, which stops when the service has stopped, not when it is told to."""

    def __init__(self, settings: Settings) -> None:
        self._service = Service(settings)
        config = uvicorn.Config(
            self._service.app(),
            host=settings.host,
            port=settings.port,
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=2,
        )
        super().__init__(config)
        # First of all: where it cannot, uvicorn says why and ends the process.
        self._door = config.bind_socket()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # uvicorn's own would close the door before anybody is told why

    async def startup(self, sockets: list[socket] | None = None) -> None:
        await super().startup(sockets)
        host, port = self._door.getsockname()[:2]
        log.info("listening", host=host, port=port)

    async def run_until_stopped(self) -> None:
        """Serve until SIGTERM or SIGINT, and then end in good order."""
        loop, told = asyncio.get_running_loop(), asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, told.set)
        working = asyncio.create_task(self._service.worker.run())
        serving = asyncio.create_task(self.serve([self._door]))
        waiting = asyncio.create_task(told.wait())
        await asyncio.wait(
            {working, serving, waiting}, return_when=asyncio.FIRST_COMPLETED
        )
        log.info("stopping")
        await self._service.stop()
        self.should_exit = True
        await serving
        waiting.cancel()
        working.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await working
        log.info("stopped")


def _failure(error: StereoSpotError) -> Response:
    status = STATUSES.get(error.code) or BLAMES.get(error.code.blame, 500)
    if isinstance(error, RefusedError):
        status = error.http_status
    headers = {}
    if status == 429:
        headers["Retry-After"] = str(RETRY_SECONDS)
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    failed = Failed(code=error.code, message=error.message)
    return _answer(failed, status=status, headers=headers)


def _answer(
    result: Completed | Generated | Failed | Standing,
    *,
    status: int = 200,
    headers: dict[str, str] | None = None,
) -> Response:
    body = result.model_dump_json()
    return Response(body, status, headers, media_type="application/json")


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > LARGEST_BODY:
            raise bad_request(f"The body is larger than {LARGEST_BODY} bytes.")
    return bytes(body)


async def _gone(request: Request) -> None:
    """Returns when the caller has closed the connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
